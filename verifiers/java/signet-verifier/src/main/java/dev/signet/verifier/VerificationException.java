package dev.signet.verifier;

/** {@link SignetVerifier#verify} did not accept a token. */
public abstract sealed class VerificationException extends SignetException
        permits TokenRefusedException, VerifierUnavailableException {

    private final RefusalCode code;

    VerificationException(RefusalCode code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    /** The reason, for your log and your metrics, not for the caller. */
    public RefusalCode code() {
        return code;
    }
}

package dev.signet.verifier;

/** The token cannot be verified now. Respond with 503: the same request may succeed later. */
public final class VerifierUnavailableException extends VerificationException {

    VerifierUnavailableException(RefusalCode code, Throwable cause) {
        super(code, code.toString(), cause);
    }
}

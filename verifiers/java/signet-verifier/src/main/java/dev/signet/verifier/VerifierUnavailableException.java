package dev.signet.verifier;

/** Nothing can be said about the token. Answer 503: the same request may succeed later. */
public final class VerifierUnavailableException extends VerificationException {

    VerifierUnavailableException(RefusalCode code, Throwable cause) {
        super(code, code.toString(), cause);
    }
}

package dev.signet.verifier;

/**
 * Anything for which a request is not served; {@link ErrorAnswer#to} answers it.
 *
 * <p>Nothing of a token is repeated in a message: messages end in logs, and tokens are written by
 * strangers. There is no stack trace either, since strangers decide how often it would be made.
 */
public abstract sealed class SignetException extends RuntimeException
        permits VerificationException, MissingTokenException, MissingScopeException, NotThisUserException {

    SignetException(String message, Throwable cause) {
        super(message, cause, false, false);
    }
}

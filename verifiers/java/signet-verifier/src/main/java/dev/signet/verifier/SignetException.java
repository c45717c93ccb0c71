package dev.signet.verifier;

/**
 * A reason to refuse a request; {@link ErrorAnswer#to} returns the response.
 *
 * <p>Messages contain no part of a token, because they are logged, and anyone can send a token.
 * There is no stack trace either, because anyone could cause the cost of creating it.
 */
public abstract sealed class SignetException extends RuntimeException
        permits VerificationException, MissingTokenException, MissingScopeException, NotThisUserException {

    SignetException(String message, Throwable cause) {
        super(message, cause, false, false);
    }
}

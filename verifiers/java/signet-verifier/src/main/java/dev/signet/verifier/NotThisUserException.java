package dev.signet.verifier;

/** The token is valid, but another user's or no person's. Answer 403: more scope cannot help. */
public final class NotThisUserException extends SignetException {

    NotThisUserException() {
        super("the token is not this user's", null);
    }
}

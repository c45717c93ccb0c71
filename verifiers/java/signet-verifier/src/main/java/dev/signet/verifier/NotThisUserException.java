package dev.signet.verifier;

/** The token is valid but belongs to another user or to no user. Respond with 403. */
public final class NotThisUserException extends SignetException {

    NotThisUserException() {
        super("the token is not this user's", null);
    }
}

package dev.signet.verifier;

/** The request has no {@code Authorization: Bearer}. Respond with 401, without an error code. */
public final class MissingTokenException extends SignetException {

    MissingTokenException() {
        super("the request has no bearer token", null);
    }
}

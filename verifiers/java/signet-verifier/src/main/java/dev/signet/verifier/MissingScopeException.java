package dev.signet.verifier;

import java.util.List;

/** The token is valid, but not for this. Answer 403 {@code insufficient_scope}. */
public final class MissingScopeException extends SignetException {

    private final List<String> scopes;

    MissingScopeException(List<String> scopes) {
        super("the token lacks a scope", null);
        this.scopes = scopes;
    }

    /** All that the request needs, not only what is missing (RFC 6750 section 3). */
    public List<String> scopes() {
        return scopes;
    }
}

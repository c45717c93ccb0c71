package dev.signet.verifier;

import java.util.List;

/** The token is valid but lacks a scope. Respond with 403 {@code insufficient_scope}. */
public final class MissingScopeException extends SignetException {

    private final List<String> scopes;

    MissingScopeException(List<String> scopes) {
        super("the token lacks a scope", null);
        this.scopes = scopes;
    }

    /** All scopes that the request needs, not only the missing ones (RFC 6750 section 3). */
    public List<String> scopes() {
        return scopes;
    }
}

package dev.signet.verifier.junit;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;

/**
 * A builder of tokens; {@link SignetTestIssuer#token()} creates one, and {@link #sign()} returns
 * the token.
 */
public final class TestToken {

    private final Function<TestToken, String> signer;
    private final Map<String, Object> header = new LinkedHashMap<>();
    private final Map<String, Object> claims = new LinkedHashMap<>();
    private final Instant now;
    private boolean isForged;

    TestToken(Function<TestToken, String> signer, Instant now) {
        this.signer = signer;
        this.now = now;
        header.put("alg", "RS256");
        header.put("typ", "at+jwt");
    }

    /** Makes it a token of this user. */
    public TestToken userId(String userId) {
        return claim("sub", userId).claim("user_id", userId);
    }

    /** Makes it a client credentials token, which belongs to no user and no session. */
    public TestToken client(String clientId) {
        claim("sub", clientId).claim("client_id", clientId);
        return List.of("user_id", "email", "sid", "auth_time", "status").stream()
                .reduce(this, TestToken::without, (one, other) -> one);
    }

    /** Sets the scope, values separated by spaces. */
    public TestToken scope(String scope) {
        return claim("scope", scope);
    }

    /** Replaces the issuer's {@link SignetTestIssuer#audience() audience}. */
    public TestToken audience(String audience) {
        return claim("aud", audience);
    }

    /**
     * Sets the time until it expires; with a negative duration it has already expired. A verifier
     * accepts it for as long as its leeway (30 seconds by default) after that.
     */
    public TestToken expiresIn(Duration life) {
        return claim("exp", now.plus(life).getEpochSecond());
    }

    /** Sets a claim to text, a number, a boolean, null, a list or a map. */
    public TestToken claim(String name, Object value) {
        claims.put(name, value);
        return this;
    }

    /** Removes a claim. */
    public TestToken without(String claim) {
        claims.remove(claim);
        return this;
    }

    /** Sets a member of the header. */
    public TestToken header(String name, Object value) {
        header.put(name, value);
        return this;
    }

    /** Makes {@link #sign()} use an unpublished key, but the kid of the issuer's key. */
    public TestToken forged() {
        isForged = true;
        return this;
    }

    /** Returns the token, without {@code Bearer}. */
    public String sign() {
        return signer.apply(this);
    }

    Map<String, Object> headers() {
        return header;
    }

    Map<String, Object> claims() {
        return claims;
    }

    boolean isForged() {
        return isForged;
    }

    /** Returns a random user id, for tokens without an explicit user. */
    static String randomUserId() {
        return UUID.randomUUID().toString();
    }
}

package dev.signet.verifier.junit;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;

/** A token in the making; {@link SignetTestIssuer#token()} begins one, and {@link #sign()} ends it. */
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

    /** Speaks for this person. */
    public TestToken userId(String userId) {
        return claim("sub", userId).claim("user_id", userId);
    }

    /** Is a client's own: it speaks for no person, and belongs to no session. */
    public TestToken client(String clientId) {
        claim("sub", clientId).claim("client_id", clientId);
        return List.of("user_id", "email", "sid", "auth_time", "status").stream()
                .reduce(this, TestToken::without, (one, other) -> one);
    }

    /** Values separated by spaces. */
    public TestToken scope(String scope) {
        return claim("scope", scope);
    }

    /** Is for this service instead of the issuer's {@link SignetTestIssuer#audience() audience}. */
    public TestToken audience(String audience) {
        return claim("aud", audience);
    }

    /** Expires this long from now; a negative duration is over already. */
    public TestToken expiresIn(Duration life) {
        return claim("exp", now.plus(life).getEpochSecond());
    }

    /** Says this, whatever it is: text, a number, a boolean, null, a list or a map. */
    public TestToken claim(String name, Object value) {
        claims.put(name, value);
        return this;
    }

    /** Does not have this claim. */
    public TestToken without(String claim) {
        claims.remove(claim);
        return this;
    }

    /** Has this in its header. */
    public TestToken header(String name, Object value) {
        header.put(name, value);
        return this;
    }

    /** Is signed by somebody else, who only names the issuer's key. */
    public TestToken forged() {
        isForged = true;
        return this;
    }

    /** The token as it is sent, without {@code Bearer}. */
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

    /** Of the token of somebody whom no test has named. */
    static String somebody() {
        return UUID.randomUUID().toString();
    }
}

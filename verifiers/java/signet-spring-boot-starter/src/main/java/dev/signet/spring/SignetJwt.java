package dev.signet.spring;

import dev.signet.verifier.AccessToken;
import java.time.Instant;
import java.util.Map;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.MappedJwtClaimSetConverter;

/**
 * An accepted token: a {@link Jwt} for Spring, with methods for Signet's claims. {@code
 * @AuthenticationPrincipal SignetJwt caller} is the caller's token.
 */
public final class SignetJwt extends Jwt {

    private static final long serialVersionUID = 1;

    private static final MappedJwtClaimSetConverter CLAIMS = MappedJwtClaimSetConverter.withDefaults(Map.of());

    private final AccessToken accessToken;

    SignetJwt(String text, AccessToken accessToken) {
        // The header is not stored. Its `alg` was verified to be RS256.
        super(text, issuedAt(accessToken), accessToken.expiresAt(), Map.of("alg", "RS256"),
                CLAIMS.convert(accessToken.claims()));
        this.accessToken = accessToken;
    }

    /**
     * The {@code iat} for Spring, which refuses a {@code Jwt} whose {@code exp} is not after it.
     * Null for such a token, which the verifier may accept because of its leeway.
     */
    private static Instant issuedAt(AccessToken token) {
        return token.issuedAt().isBefore(token.expiresAt()) ? token.issuedAt() : null;
    }

    /** The user whose token it is; null for a client credentials token. */
    public String userId() {
        return accessToken.userId();
    }

    /** The session for which the token was issued; null if there is none. */
    public String sid() {
        return accessToken.sessionId();
    }

    /** All claims. */
    public AccessToken accessToken() {
        return accessToken;
    }
}

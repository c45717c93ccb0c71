package dev.signet.spring;

import dev.signet.verifier.AccessToken;
import java.time.Instant;
import java.util.Map;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.MappedJwtClaimSetConverter;

/**
 * A token that was accepted: a {@link Jwt}, so that all that Spring does with one goes on, and what
 * Signet says by name. {@code @AuthenticationPrincipal SignetJwt caller} is the caller's.
 */
public final class SignetJwt extends Jwt {

    private static final long serialVersionUID = 1;

    private static final MappedJwtClaimSetConverter CLAIMS = MappedJwtClaimSetConverter.withDefaults(Map.of());

    private final AccessToken accessToken;

    SignetJwt(String text, AccessToken accessToken) {
        // The header was checked to say this, and is not kept.
        super(text, issuedAt(accessToken), accessToken.expiresAt(), Map.of("alg", "RS256"),
                CLAIMS.convert(accessToken.claims()));
        this.accessToken = accessToken;
    }

    /** Spring takes no token that was over when it was issued; the leeway of the clocks may let one pass. */
    private static Instant issuedAt(AccessToken token) {
        return token.issuedAt().isBefore(token.expiresAt()) ? token.issuedAt() : null;
    }

    /** The person the token speaks for; null for a client's own token. */
    public String userId() {
        return accessToken.userId();
    }

    /** The login it was issued in; null if there is none. */
    public String sid() {
        return accessToken.sessionId();
    }

    /** All of it, by name. */
    public AccessToken accessToken() {
        return accessToken;
    }
}

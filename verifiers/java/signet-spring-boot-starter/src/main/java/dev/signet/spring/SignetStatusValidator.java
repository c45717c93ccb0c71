package dev.signet.spring;

import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.TokenRefusedException;
import dev.signet.verifier.VerifierUnavailableException;
import java.util.Map;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2ErrorCodes;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jwt.Jwt;

/**
 * Refuses tokens whose session has ended, for applications that keep a decoder of their own: one of
 * its validators. Everything else about a token remains the decoder's business: {@code typ},
 * {@code iss}, {@code aud} and the times need validators too.
 *
 * <p>It may wait for a fetch, which no thread of WebFlux should: take the starter's decoder there.
 */
public final class SignetStatusValidator implements OAuth2TokenValidator<Jwt> {

    private final SignetVerifier verifier;

    /** With the starter's bean, or one made by hand. */
    public SignetStatusValidator(SignetVerifier verifier) {
        this.verifier = verifier;
    }

    /**
     * Looks up the claim {@code status}; a token without it has no session that could end.
     *
     * @throws org.springframework.security.oauth2.jwt.JwtException if nothing can be said about it:
     *     the starter answers 503 then
     */
    @Override
    public OAuth2TokenValidatorResult validate(Jwt token) {
        if (!token.hasClaim("status")) {
            return OAuth2TokenValidatorResult.success();
        }
        try {
            check(token.getClaim("status"));
            return OAuth2TokenValidatorResult.success();
        } catch (TokenRefusedException error) {
            String description = SpringErrors.of(error).getMessage();
            return OAuth2TokenValidatorResult.failure(
                    new OAuth2Error(OAuth2ErrorCodes.INVALID_TOKEN, description, null));
        } catch (VerifierUnavailableException error) {
            // As a failure it would be answered 401, and the client would log in again in vain.
            throw SpringErrors.of(error);
        }
    }

    private void check(Object status) {
        Object list = status instanceof Map<?, ?> members ? members.get("status_list") : null;
        Map<?, ?> reference = list instanceof Map<?, ?> members ? members : Map.of();
        String uri = reference.get("uri") instanceof String text ? text : "";
        verifier.checkStatus(uri, index(reference.get("idx")));
    }

    /** What a decoder makes of a whole number depends on its JSON library. */
    private static long index(Object idx) {
        return idx instanceof Long || idx instanceof Integer ? ((Number) idx).longValue() : -1;
    }
}

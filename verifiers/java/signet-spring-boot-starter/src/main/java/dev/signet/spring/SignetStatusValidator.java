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
 * Refuses tokens whose session has ended: a validator for applications with a custom decoder. The
 * decoder must check everything else: {@code typ}, {@code iss}, {@code aud} and the times need
 * validators, too.
 *
 * <p>It may block on a fetch, which WebFlux threads must not do: use the starter's decoder there.
 */
public final class SignetStatusValidator implements OAuth2TokenValidator<Jwt> {

    private final SignetVerifier verifier;

    /** Takes the starter's bean, or any other verifier. */
    public SignetStatusValidator(SignetVerifier verifier) {
        this.verifier = verifier;
    }

    /**
     * Checks the claim {@code status}. A token without it has no session.
     *
     * @throws org.springframework.security.oauth2.jwt.JwtException if the status is unavailable:
     * the starter then responds with 503
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
            // A failure would cause a 401, and the client would log in again in vain.
            throw SpringErrors.of(error);
        }
    }

    private void check(Object status) {
        Object list = status instanceof Map<?, ?> members ? members.get("status_list") : null;
        Map<?, ?> reference = list instanceof Map<?, ?> members ? members : Map.of();
        String uri = reference.get("uri") instanceof String text ? text : "";
        verifier.checkStatus(uri, index(reference.get("idx")));
    }

    /** The type of a whole number depends on the decoder's JSON library. */
    private static long index(Object idx) {
        return idx instanceof Long || idx instanceof Integer ? ((Number) idx).longValue() : -1;
    }
}

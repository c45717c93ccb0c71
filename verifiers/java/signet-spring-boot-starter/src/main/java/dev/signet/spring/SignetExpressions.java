package dev.signet.spring;

import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.jwt.Jwt;

/**
 * The bean {@code signet} for method security: {@code @PreAuthorize("@signet.isUser(#userId)")}. It
 * needs {@code @EnableMethodSecurity} and, for parameter names, {@code javac -parameters}, which
 * Spring Boot sets.
 */
public final class SignetExpressions {

    SignetExpressions() {}

    /** Whether the caller is this user. A client credentials token belongs to no user. */
    public boolean isUser(String userId) {
        return isUser(SecurityContextHolder.getContext().getAuthentication(), userId);
    }

    /**
     * For WebFlux, where the caller is not bound to the thread: {@code
     * @signet.isUser(authentication, #userId)}.
     */
    public boolean isUser(Authentication caller, String userId) {
        return caller != null
                && caller.isAuthenticated()
                && caller.getPrincipal() instanceof Jwt token
                && userId != null
                && userId.equals(token.getClaims().get("user_id"));
    }
}

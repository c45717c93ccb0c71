package dev.signet.spring;

import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.jwt.Jwt;

/**
 * The bean {@code signet}, for rules of methods: {@code @PreAuthorize("@signet.isUser(#userId)")}. It
 * takes {@code @EnableMethodSecurity} and, for names of parameters, {@code javac -parameters}, as
 * Spring Boot has it.
 */
public final class SignetExpressions {

    SignetExpressions() {}

    /** Whether the caller is this person. A client's own token is nobody's. */
    public boolean isUser(String userId) {
        return isUser(SecurityContextHolder.getContext().getAuthentication(), userId);
    }

    /** For WebFlux, where the caller is not the thread's: {@code @signet.isUser(authentication, #userId)}. */
    public boolean isUser(Authentication caller, String userId) {
        return caller != null
                && caller.isAuthenticated()
                && caller.getPrincipal() instanceof Jwt token
                && userId != null
                && userId.equals(token.getClaims().get("user_id"));
    }
}

package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import java.util.Collection;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.authorization.AuthorityAuthorizationDecision;
import org.springframework.security.authorization.AuthorizationDeniedException;
import org.springframework.security.authorization.AuthorizationResult;
import org.springframework.security.authorization.ExpressionAuthorizationDecision;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;

/**
 * The responses, as the README of all verifiers specifies them, for the exceptions of Spring
 * Security.
 */
final class Denials {

    private static final String PREFIX = "SCOPE_";

    /** An authority in an expression such as {@code hasAuthority('SCOPE_tasks:write')} (RFC 6749 section 3.3). */
    private static final Pattern SCOPE = Pattern.compile("SCOPE_([!#-&(-\\[\\]-~]+)");

    private Denials() {}

    /** The response for a caller without a valid token. */
    static ErrorAnswer of(AuthenticationException error) {
        return error instanceof OAuth2AuthenticationException
                ? unauthorized("invalid_token", "The access token is not valid", "Bearer error=\"invalid_token\"")
                : unauthorized("invalid_request", "The request needs an access token", "Bearer");
    }

    /**
     * The response for a caller with a valid token that lacks a required scope, or fails another
     * rule.
     */
    static ErrorAnswer of(AccessDeniedException error, Authentication caller) {
        Collection<String> needed = new TreeSet<>();
        if (error instanceof AuthorizationDeniedException denied) {
            addScopes(denied.getAuthorizationResult(), needed);
        }
        boolean lacksOne = needed.stream().anyMatch(scope -> caller == null || !has(caller, PREFIX + scope));
        if (!lacksOne) {
            return new ErrorAnswer(403, "forbidden", "The access token does not open this", Map.of());
        }
        String challenge = "Bearer error=\"insufficient_scope\", scope=\"" + String.join(" ", needed) + "\"";
        return new ErrorAnswer(
                403,
                "insufficient_scope",
                "The access token does not cover this request",
                Map.of("WWW-Authenticate", challenge));
    }

    private static void addScopes(AuthorizationResult result, Collection<String> needed) {
        if (result instanceof AuthorityAuthorizationDecision decision) {
            decision.getAuthorities().forEach(authority -> addScopes(authority.getAuthority(), needed));
        } else if (result instanceof ExpressionAuthorizationDecision decision) {
            addScopes(decision.getExpression().getExpressionString(), needed);
        }
    }

    private static void addScopes(String text, Collection<String> needed) {
        Matcher found = SCOPE.matcher(text);
        while (found.find()) {
            needed.add(found.group(1));
        }
    }

    private static boolean has(Authentication caller, String authority) {
        return caller.getAuthorities().stream().map(GrantedAuthority::getAuthority).anyMatch(authority::equals);
    }

    private static ErrorAnswer unauthorized(String error, String description, String challenge) {
        return new ErrorAnswer(401, error, description, Map.of("WWW-Authenticate", challenge));
    }
}

package dev.signet.verifier;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * The claims of an access token (RFC 9068 section 2.2), checked after the signature. A claim of a
 * wrong type is never converted: the token is refused. {@code null} does not count as absent.
 */
final class Claims {

    /** The limit of times and indexes: all languages represent whole numbers below it exactly. */
    private static final long WHOLE_NUMBERS_END = 1L << 53;

    private Claims() {}

    /** The location of a token's status (draft-ietf-oauth-status-list section 6.1). */
    record StatusReference(String uri, long index) {}

    /** Checks all claims except the status. */
    static AccessToken check(Map<String, Object> claims, Rules rules, Instant now) {
        if (!text(claims, "iss").equals(rules.issuer())) {
            throw new TokenRefusedException(RefusalCode.WRONG_ISSUER);
        }
        if (!rules.isFor(audiences(claims))) {
            throw new TokenRefusedException(RefusalCode.WRONG_AUDIENCE);
        }
        checkTimes(claims, rules, now);
        String subject = text(claims, "sub");
        String userId = optionalText(claims, "user_id");
        if (userId != null && !userId.equals(subject)) {
            throw TokenRefusedException.invalidClaim("user_id");
        }
        String scope = optionalText(claims, "scope");
        return new AccessToken(
                subject,
                userId,
                text(claims, "client_id"),
                optionalText(claims, "sid"),
                scope == null ? "" : scope,
                optionalText(claims, "email"),
                text(claims, "jti"),
                Instant.ofEpochSecond(seconds(claims, "iat")),
                Instant.ofEpochSecond(seconds(claims, "exp")),
                claims.containsKey("auth_time") ? Instant.ofEpochSecond(seconds(claims, "auth_time")) : null,
                claims);
    }

    /**
     * Distinguishes an access token from an ID token by its claims, if {@code typ} does not.
     * Signet's ID tokens lack {@code client_id}, {@code jti} and {@code scope}, and have {@code
     * at_hash} and usually {@code nonce} (OpenID Connect Core sections 2, 3.1.3.6; RFC 8725 section
     * 3.12).
     */
    static void checkNoIdToken(Map<String, Object> claims) {
        if (claims.containsKey("nonce") || claims.containsKey("at_hash")) {
            throw new TokenRefusedException(RefusalCode.WRONG_TYPE);
        }
        for (String name : List.of("client_id", "jti", "scope")) {
            if (!(claims.get(name) instanceof String)) {
                throw TokenRefusedException.invalidClaim(name);
            }
        }
    }

    /** Reads {@code status}; null if it is absent. */
    static StatusReference status(Map<String, Object> claims, String issuer) {
        if (!claims.containsKey("status")) {
            return null;
        }
        if (claims.get("status") instanceof Map<?, ?> status
                && status.get("status_list") instanceof Map<?, ?> list
                && list.get("idx") instanceof Long index
                && list.get("uri") instanceof String uri) {
            return reference(uri, index, issuer);
        }
        throw TokenRefusedException.invalidClaim("status");
    }

    /** Accepts only lists of the issuer, so that a token cannot choose where requests are sent. */
    static StatusReference reference(String uri, long index, String issuer) {
        if (!isInRange(index) || !uri.startsWith(issuer + "/")) {
            throw TokenRefusedException.invalidClaim("status");
        }
        return new StatusReference(uri, index);
    }

    /**
     * A NumericDate in whole seconds. Fractions are refused because readers may round differently.
     */
    static long seconds(Map<String, Object> claims, String name) {
        if (claims.get(name) instanceof Long seconds && isInRange(seconds)) {
            return seconds;
        }
        throw TokenRefusedException.invalidClaim(name);
    }

    private static void checkTimes(Map<String, Object> claims, Rules rules, Instant now) {
        if (rules.hasPassed(seconds(claims, "exp"), now)) {
            throw new TokenRefusedException(RefusalCode.EXPIRED);
        }
        boolean isEarly = rules.isInTheFuture(seconds(claims, "iat"), now);
        if (isEarly || claims.containsKey("nbf") && rules.isInTheFuture(seconds(claims, "nbf"), now)) {
            throw new TokenRefusedException(RefusalCode.NOT_YET_VALID);
        }
    }

    /** RFC 7519 section 4.1.3: a string, or a list of strings. */
    private static List<?> audiences(Map<String, Object> claims) {
        Object audience = claims.get("aud");
        if (audience instanceof String one) {
            return List.of(one);
        }
        if (audience instanceof List<?> several && several.stream().allMatch(String.class::isInstance)) {
            return several;
        }
        throw TokenRefusedException.invalidClaim("aud");
    }

    private static boolean isInRange(long number) {
        return number >= 0 && number < WHOLE_NUMBERS_END;
    }

    private static String text(Map<String, Object> claims, String name) {
        String value = optionalText(claims, name);
        if (value == null || value.isEmpty()) {
            throw TokenRefusedException.invalidClaim(name);
        }
        return value;
    }

    private static String optionalText(Map<String, Object> claims, String name) {
        Object value = claims.get(name);
        if (value instanceof String text) {
            return text;
        }
        if (value != null || claims.containsKey(name)) {
            throw TokenRefusedException.invalidClaim(name);
        }
        return null;
    }
}

package dev.signet.verifier;

import java.io.Serializable;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The claims of a token that passed every check; {@link SignetVerifier#verify} returns it. It
 * contains no secret, since the token itself is not stored.
 *
 * @param subject {@code sub}: the account, or the client itself for client credentials
 * @param userId the user whose token it is; null for a client credentials token
 * @param clientId the client that requested the token (RFC 9068 section 2.2)
 * @param sessionId {@code sid}: the session for which the token was issued; null if there is none
 * @param scope values separated by spaces; empty if the claim is absent
 * @param email the email address at the time of issue, or null. It may change: do not identify users
 * by it
 * @param tokenId {@code jti}: unique to this token
 * @param issuedAt {@code iat}
 * @param expiresAt {@code exp}; the leeway is not added
 * @param authTime when the user last entered the password (RFC 9068 section 2.2.1), or null
 * @param claims all claims as plain values: String, Long, Double, Boolean, List, Map and null
 */
public record AccessToken(
        String subject,
        String userId,
        String clientId,
        String sessionId,
        String scope,
        String email,
        String tokenId,
        Instant issuedAt,
        Instant expiresAt,
        Instant authTime,
        Map<String, Object> claims)
        implements Serializable {

    /** Use it only in tests of your own code; otherwise a verifier creates tokens. */
    public AccessToken {
        Objects.requireNonNull(subject, "subject");
        Objects.requireNonNull(scope, "scope");
        claims = Collections.unmodifiableMap(claims);
    }

    /** Whether this is a token of this user. A client credentials token belongs to no user. */
    public boolean isUser(String userId) {
        return this.userId != null && this.userId.equals(userId);
    }

    /** Whether {@code scope} lists exactly this value (RFC 6749 section 3.3). */
    public boolean hasScope(String scope) {
        return !scope.isEmpty() && Arrays.asList(this.scope.split(" ")).contains(scope);
    }

    /**
     * Requires a token of this user, for paths such as {@code /users/{id}/tasks}.
     *
     * @throws NotThisUserException (403) if it is not a token of this user
     */
    public void requireUser(String userId) {
        if (!isUser(userId)) {
            throw new NotThisUserException();
        }
    }

    /**
     * Requires a token with all these scopes.
     *
     * @throws MissingScopeException (403) if it lacks one
     */
    public void requireScope(String... scopes) {
        if (!Arrays.stream(scopes).allMatch(this::hasScope)) {
            throw new MissingScopeException(List.of(scopes));
        }
    }

    /** Omits personal data, because it may be logged. */
    @Override
    public String toString() {
        return "AccessToken[subject=%s, clientId=%s, sessionId=%s, scope=%s, tokenId=%s]"
                .formatted(subject, clientId, sessionId, scope, tokenId);
    }
}

package dev.signet.verifier;

import java.io.Serializable;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What a token says that passed every check; {@link SignetVerifier#verify} makes it. It holds no
 * secret, since the token itself is not kept.
 *
 * @param subject {@code sub}: the account, or the client itself for client credentials
 * @param userId the person the token speaks for; null for a client's own token
 * @param clientId the client that asked for the token (RFC 9068 section 2.2)
 * @param sessionId {@code sid}: the login it was issued in; null if there is none
 * @param scope values separated by spaces; empty if the claim is absent
 * @param email the address at the time of issue, or null. It may change: never a key for anything
 * @param tokenId {@code jti}: unique to this token
 * @param issuedAt {@code iat}
 * @param expiresAt {@code exp}; the leeway is not added
 * @param authTime when the user gave the password (RFC 9068 section 2.2.1), or null
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

    /** For tests of your own code: a verifier makes tokens otherwise, after its checks. */
    public AccessToken {
        Objects.requireNonNull(subject, "subject");
        Objects.requireNonNull(scope, "scope");
        claims = Collections.unmodifiableMap(claims);
    }

    /** Whether the token speaks for this person. A client's own token speaks for nobody. */
    public boolean isUser(String userId) {
        return this.userId != null && this.userId.equals(userId);
    }

    /** Whether {@code scope} lists exactly this value (RFC 6749 section 3.3). */
    public boolean hasScope(String scope) {
        return !scope.isEmpty() && Arrays.asList(this.scope.split(" ")).contains(scope);
    }

    /**
     * For paths that name a user, as {@code /users/{id}/tasks}.
     *
     * @throws NotThisUserException to be answered 403, unless it is this one
     */
    public void requireUser(String userId) {
        if (!isUser(userId)) {
            throw new NotThisUserException();
        }
    }

    /**
     * Passes a token that has all these scopes.
     *
     * @throws MissingScopeException to be answered 403, if it lacks one
     */
    public void requireScope(String... scopes) {
        if (!Arrays.stream(scopes).allMatch(this::hasScope)) {
            throw new MissingScopeException(List.of(scopes));
        }
    }

    /** Without what the token says of a person: this ends in logs. */
    @Override
    public String toString() {
        return "AccessToken[subject=%s, clientId=%s, sessionId=%s, scope=%s, tokenId=%s]"
                .formatted(subject, clientId, sessionId, scope, tokenId);
    }
}

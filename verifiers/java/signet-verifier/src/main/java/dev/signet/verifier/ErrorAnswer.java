package dev.signet.verifier;

import java.util.Map;

/**
 * What a request that is not served is answered with (RFC 6750 section 3). Which check failed is in
 * the log, not here.
 *
 * @param status 401, 403 or 503
 * @param error the body's {@code error}
 * @param description the body's {@code error_description}
 * @param headers {@code WWW-Authenticate} or {@code Retry-After}, or none
 */
public record ErrorAnswer(int status, String error, String description, Map<String, String> headers) {

    private static final String CHALLENGE = "WWW-Authenticate";

    /** After which a caller may try again: what a failed fetch is retried after. */
    private static final String RETRY_AFTER_SECONDS = "5";

    /** How the verifiers of all languages answer this. */
    public static ErrorAnswer to(SignetException error) {
        if (error instanceof MissingTokenException) {
            return new ErrorAnswer(
                    401, "invalid_request", "The request needs an access token", Map.of(CHALLENGE, "Bearer"));
        }
        if (error instanceof MissingScopeException missing) {
            String scope = String.join(" ", missing.scopes());
            return new ErrorAnswer(
                    403,
                    "insufficient_scope",
                    "The access token does not cover this request",
                    Map.of(CHALLENGE, "Bearer error=\"insufficient_scope\", scope=\"" + scope + "\""));
        }
        if (error instanceof NotThisUserException) {
            return new ErrorAnswer(403, "forbidden", "This belongs to another user", Map.of());
        }
        if (error instanceof VerifierUnavailableException) {
            return new ErrorAnswer(
                    503,
                    "temporarily_unavailable",
                    "Access tokens cannot be checked right now",
                    Map.of("Retry-After", RETRY_AFTER_SECONDS));
        }
        return new ErrorAnswer(
                401,
                "invalid_token",
                "The access token is not valid",
                Map.of(CHALLENGE, "Bearer error=\"invalid_token\""));
    }

    /** The body, of type {@code application/json}. */
    public String body() {
        // Nothing in either of them has to be escaped.
        return "{\"error\":\"" + error + "\",\"error_description\":\"" + description + "\"}";
    }
}

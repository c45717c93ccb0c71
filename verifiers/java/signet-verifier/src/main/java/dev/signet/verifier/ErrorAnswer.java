package dev.signet.verifier;

import java.util.Map;

/**
 * The response to a refused request (RFC 6750 section 3). It does not say which check failed; the
 * log does.
 *
 * @param status 401, 403 or 503
 * @param error the body's {@code error}
 * @param description the body's {@code error_description}
 * @param headers {@code WWW-Authenticate} or {@code Retry-After}, or none
 */
public record ErrorAnswer(int status, String error, String description, Map<String, String> headers) {

    private static final String CHALLENGE = "WWW-Authenticate";

    /** The time until a retry is useful: the pause after a failed fetch. */
    private static final String RETRY_AFTER_SECONDS = "5";

    /** The response for an error, the same in all languages. */
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
        // Neither contains characters that need an escape.
        return "{\"error\":\"" + error + "\",\"error_description\":\"" + description + "\"}";
    }
}

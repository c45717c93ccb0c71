package dev.signet.verifier;

import java.util.Locale;

/**
 * Why a token was refused, in the order of the checks; the last two codes say why it could not be
 * verified. The codes are the same in the verifiers of all languages. They are for your log and
 * your metrics, not for the caller.
 */
public enum RefusalCode {
    /** Not a compact JWS of at most 8 KiB in strict base64url and JSON, or without a key id. */
    MALFORMED,
    /** The header has {@code crit}, {@code b64}, {@code jwk}, {@code jku}, {@code x5c} or {@code x5u}. */
    FORBIDDEN_HEADER,
    /** {@code alg} is anything but {@code RS256} (RFC 8725 section 3.1). */
    UNSUPPORTED_ALGORITHM,
    /**
     * Another kind of token according to {@code typ}, for example an ID token (RFC 9068 section 4).
     */
    WRONG_TYPE,
    /** The key set has no usable key with this {@code kid}, even after a fetch if one was due. */
    UNKNOWN_KEY,
    /** The token was altered or forged. */
    BAD_SIGNATURE,
    /**
     * If all tokens are refused with this code, check {@code issuer}, including a trailing slash.
     */
    WRONG_ISSUER,
    /** For another service. If all tokens are refused with this code, check {@code audience}. */
    WRONG_AUDIENCE,
    /** The client should refresh. */
    EXPIRED,
    /** {@code iat} or {@code nbf} is in the future. If new tokens are refused with this code, check the clocks. */
    NOT_YET_VALID,
    /** A claim is missing, of a wrong type or out of range. */
    INVALID_CLAIM,
    /** The session has ended, for example by a logout or a deletion of the account. */
    REVOKED,
    /** The session is suspended temporarily. */
    SUSPENDED,
    /** The token may be valid: no key set has been fetched yet. */
    KEYS_UNAVAILABLE,
    /** The token may be valid: its status list is unavailable. */
    STATUS_UNAVAILABLE;

    private final String text = name().toLowerCase(Locale.ROOT);

    /** Whether the token could not be verified. Respond with 503 then, not 401. */
    public boolean isUnavailable() {
        return this == KEYS_UNAVAILABLE || this == STATUS_UNAVAILABLE;
    }

    /** The code in lower case, as in all languages: {@code wrong_audience}. */
    @Override
    public String toString() {
        return text;
    }
}

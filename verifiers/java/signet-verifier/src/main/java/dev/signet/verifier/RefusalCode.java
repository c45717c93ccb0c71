package dev.signet.verifier;

import java.util.Locale;

/**
 * Why a token was refused, or could not be judged; the same in the verifiers of all languages. They
 * stand in the order of the checks. For your log and your metrics: a caller is never told.
 */
public enum RefusalCode {
    /** No compact JWS of at most 8 KiB in strict base64url and JSON, or names no key. */
    MALFORMED,
    /** The header has {@code crit}, {@code b64}, {@code jwk}, {@code jku}, {@code x5c} or {@code x5u}. */
    FORBIDDEN_HEADER,
    /** {@code alg} is anything but {@code RS256} (RFC 8725 section 3.1). */
    UNSUPPORTED_ALGORITHM,
    /** Another kind of token, by its {@code typ}: an ID token, perhaps (RFC 9068 section 4). */
    WRONG_TYPE,
    /** The key set, newly fetched if that was due, has no usable key of this {@code kid}. */
    UNKNOWN_KEY,
    /** Altered or forged. */
    BAD_SIGNATURE,
    /** If every token ends here, {@code issuer} is set wrong: mind a final slash. */
    WRONG_ISSUER,
    /** For another service. If every token ends here, {@code audience} is set wrong. */
    WRONG_AUDIENCE,
    /** The client refreshes. */
    EXPIRED,
    /** From the future. If fresh tokens end here, the clocks disagree. */
    NOT_YET_VALID,
    /** A claim is missing, of another type or out of range. */
    INVALID_CLAIM,
    /** The session has ended: logged out, or the account is gone. */
    REVOKED,
    /** The session is suspended, for now. */
    SUSPENDED,
    /** Nothing is known against the token: no key set could ever be fetched. */
    KEYS_UNAVAILABLE,
    /** Nothing is known against the token: whether its session has ended cannot be said. */
    STATUS_UNAVAILABLE;

    private final String text = name().toLowerCase(Locale.ROOT);

    /** Whether the token could not be judged. Answer 503 then, not 401. */
    public boolean isUnavailable() {
        return this == KEYS_UNAVAILABLE || this == STATUS_UNAVAILABLE;
    }

    /** As all languages write it: {@code wrong_audience}. */
    @Override
    public String toString() {
        return text;
    }
}

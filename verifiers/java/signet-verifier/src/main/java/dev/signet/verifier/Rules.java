package dev.signet.verifier;

import java.time.Duration;
import java.time.Instant;

/** What a token is compared with. */
record Rules(String issuer, String audience, Duration leeway) {

    /** Whether {@code exp} and the leeway are over. */
    boolean hasPassed(long expiresAt, Instant now) {
        return !now.isBefore(Instant.ofEpochSecond(expiresAt).plus(leeway));
    }

    /** Whether {@code iat} or {@code nbf} lies in the future, by more than the leeway. */
    boolean isInTheFuture(long start, Instant now) {
        return Instant.ofEpochSecond(start).isAfter(now.plus(leeway));
    }
}

package dev.signet.verifier;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;

/** The expected values of a token. */
record Rules(String issuer, Set<String> audiences, Duration leeway) {

    /** Whether one of these audiences is accepted. */
    boolean isFor(List<?> named) {
        return named.stream().anyMatch(audiences::contains);
    }

    /** Whether {@code exp} plus the leeway has passed. */
    boolean hasPassed(long expiresAt, Instant now) {
        return !now.isBefore(Instant.ofEpochSecond(expiresAt).plus(leeway));
    }

    /** Whether {@code iat} or {@code nbf} is in the future by more than the leeway. */
    boolean isInTheFuture(long start, Instant now) {
        return Instant.ofEpochSecond(start).isAfter(now.plus(leeway));
    }
}

package dev.signet.verifier;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;

/** The published key set. Unknown {@code kid}s cause at most one fetch per cool-down. */
final class KeySource {

    private static final long DEFAULT_MAX_AGE_SECONDS = 300;
    private static final long SHORTEST_MAX_AGE_SECONDS = 1;
    private static final long LONGEST_MAX_AGE_SECONDS = 24 * 3600;

    private static final Duration PAUSE = Duration.ofSeconds(5);

    /** Without any keys no token can be verified, so the retry follows sooner. */
    private static final Duration PAUSE_WITHOUT_KEYS = Duration.ofSeconds(1);

    private final Document<KeySet> document;
    private final Duration cooldown;

    KeySource(String baseUrl, Fetcher fetcher, Duration cooldown, LongSupplier nanoTime) {
        this.document = new Document<>(new Published(baseUrl + "/.well-known/jwks.json", fetcher), nanoTime);
        this.cooldown = cooldown;
    }

    /**
     * Finds the key named {@code kid}; fails with {@code unknown_key} or {@code keys_unavailable}.
     */
    CompletableFuture<PublicKey> find(String kid) {
        if (!document.isStale()) {
            return lookUp(kid);
        }
        boolean hasKeys = document.cached() != null;
        return (hasKeys ? document.refreshBriefly() : document.refresh()).thenCompose(refreshed -> lookUp(kid));
    }

    private CompletableFuture<PublicKey> lookUp(String kid) {
        KeySet known = document.cached();
        if (known == null) {
            VerificationException error = new VerifierUnavailableException(RefusalCode.KEYS_UNAVAILABLE, null);
            return CompletableFuture.failedFuture(error);
        }
        PublicKey key = known.keys().get(kid);
        if (key != null) {
            return CompletableFuture.completedFuture(key);
        }
        // Anyone can invent a kid, so all unknown ones together cause one fetch per cool-down.
        return document.refreshAfter(cooldown).thenApply(refreshed -> {
            PublicKey found = document.cached().keys().get(kid);
            if (found == null) {
                throw new TokenRefusedException(RefusalCode.UNKNOWN_KEY);
            }
            return found;
        });
    }

    private record Published(String name, Fetcher fetcher) implements Document.Source<KeySet> {

        @Override
        public Fetcher.Answer fetch(String etag) throws IOException, InterruptedException {
            return fetcher.get(name, "application/jwk-set+json, application/json", KeySet.LARGEST, etag);
        }

        @Override
        public KeySet read(byte[] body) {
            return KeySet.parse(body);
        }

        @Override
        public Duration lifetime(KeySet keys, Fetcher.Answer answer) {
            long maxAge = answer.maxAgeSeconds().orElse(DEFAULT_MAX_AGE_SECONDS);
            return Duration.ofSeconds(Math.min(Math.max(maxAge, SHORTEST_MAX_AGE_SECONDS), LONGEST_MAX_AGE_SECONDS));
        }

        @Override
        public Duration pause(KeySet cached) {
            return cached == null ? PAUSE_WITHOUT_KEYS : PAUSE;
        }
    }
}

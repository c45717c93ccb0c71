package dev.signet.verifier;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;

/** The key set as it is published. Whatever {@code kid}s tokens name, they cause one fetch in a cool-down at most. */
final class KeySource {

    private static final long DEFAULT_MAX_AGE_SECONDS = 300;
    private static final long SHORTEST_MAX_AGE_SECONDS = 1;
    private static final long LONGEST_MAX_AGE_SECONDS = 24 * 3600;

    private static final Duration PAUSE = Duration.ofSeconds(5);

    /** While there are no keys at all, nothing works: it is tried again sooner. */
    private static final Duration PAUSE_WITHOUT_KEYS = Duration.ofSeconds(1);

    private final Document<KeySet> document;
    private final Duration cooldown;

    KeySource(String baseUrl, Fetcher fetcher, Duration cooldown, LongSupplier nanoTime) {
        this.document = new Document<>(new Published(baseUrl + "/.well-known/jwks.json", fetcher), nanoTime);
        this.cooldown = cooldown;
    }

    /** The key named {@code kid}; fails with {@code unknown_key} or {@code keys_unavailable}. */
    CompletableFuture<PublicKey> find(String kid) {
        if (!document.isOld()) {
            return lookUp(kid);
        }
        boolean hasKeys = document.held() != null;
        return (hasKeys ? document.renewBriefly() : document.renew()).thenCompose(renewed -> lookUp(kid));
    }

    private CompletableFuture<PublicKey> lookUp(String kid) {
        KeySet known = document.held();
        if (known == null) {
            VerificationException error = new VerifierUnavailableException(RefusalCode.KEYS_UNAVAILABLE, null);
            return CompletableFuture.failedFuture(error);
        }
        PublicKey key = known.keys().get(kid);
        if (key != null) {
            return CompletableFuture.completedFuture(key);
        }
        // Anybody can invent a kid: all unknown ones together are worth one fetch in a cool-down.
        return document.renewAfter(cooldown).thenApply(looked -> {
            PublicKey found = document.held().keys().get(kid);
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
        public Duration pause(KeySet held) {
            return held == null ? PAUSE_WITHOUT_KEYS : PAUSE;
        }
    }
}

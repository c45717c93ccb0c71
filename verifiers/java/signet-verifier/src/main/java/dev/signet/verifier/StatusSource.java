package dev.signet.verifier;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/** The status lists that tokens reference, each fetched again after its {@code ttl}. */
final class StatusSource {

    /** The maximum number of cached lists; the least recently used list is evicted. */
    static final int MAX_LISTS = 64;

    private static final double DEFAULT_TTL_SECONDS = 300;

    /** A list is fetched again after a day, even if its {@code ttl} is longer. */
    private static final double LONGEST_TTL_SECONDS = 24 * 3600;

    private static final Duration PAUSE = Duration.ofSeconds(5);

    private final String baseUrl;
    private final Fetcher fetcher;
    private final KeySource keys;
    private final Rules rules;
    private final InstantSource clock;
    private final LongSupplier nanoTime;

    private final Lock lock = new ReentrantLock();
    private final Map<String, Document<StatusList>> documents = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Document<StatusList>> eldest) {
            return size() > MAX_LISTS;
        }
    };

    StatusSource(
            String baseUrl, Fetcher fetcher, KeySource keys, Rules rules, InstantSource clock, LongSupplier nanoTime) {
        this.baseUrl = baseUrl;
        this.fetcher = fetcher;
        this.keys = keys;
        this.rules = rules;
        this.clock = clock;
        this.nanoTime = nanoTime;
    }

    /**
     * Returns the list at {@code uri}, or null if there is no usable one. A list is usable until
     * its {@code exp}, even if Signet is unreachable; a list without {@code exp} until its {@code
     * ttl} is over.
     */
    CompletableFuture<StatusList> find(String uri) {
        Document<StatusList> document = document(uri);
        StatusList cached = document.cached();
        if (hasExpired(cached)) {
            return document.refetch(cached).thenApply(refetched -> usable(document));
        }
        if (cached != null && !document.isStale()) {
            return CompletableFuture.completedFuture(cached);
        }
        if (usable(document) == null) {
            return document.refresh().thenApply(refreshed -> usable(document));
        }
        return document.refreshBriefly().thenCompose(waited -> {
            StatusList list = usable(document);
            return list != null
                    ? CompletableFuture.completedFuture(list)
                    // It has expired during the wait.
                    : document.refetch(document.cached()).thenApply(refetched -> usable(document));
        });
    }

    private StatusList usable(Document<StatusList> document) {
        StatusList list = document.cached();
        boolean isUnusable = list == null || hasExpired(list) || list.expiresAt() == null && document.isStale();
        return isUnusable ? null : list;
    }

    private boolean hasExpired(StatusList list) {
        return list != null && list.expiresAt() != null && rules.hasPassed(list.expiresAt(), clock.instant());
    }

    private Document<StatusList> document(String uri) {
        lock.lock();
        try {
            return documents.computeIfAbsent(uri, absent -> new Document<>(new Published(absent), nanoTime));
        } finally {
            lock.unlock();
        }
    }

    private final class Published implements Document.Source<StatusList> {

        private final String uri;

        Published(String uri) {
            this.uri = uri;
        }

        @Override
        public String name() {
            return "a status list";
        }

        @Override
        public Fetcher.Answer fetch(String etag) throws IOException, InterruptedException {
            String url = baseUrl + uri.substring(rules.issuer().length());
            return fetcher.get(url, "application/statuslist+jwt", StatusList.LARGEST, etag);
        }

        @Override
        public StatusList read(byte[] body) throws InterruptedException {
            Jws jws = StatusList.parse(body);
            Futures.await(keys.find(jws.kid())).check(jws);
            Instant now = clock.instant();
            return StatusList.of(jws.payload(), uri, rules, now);
        }

        @Override
        public Duration lifetime(StatusList list, Fetcher.Answer answer) {
            double ttl = list.ttlSeconds() == null ? DEFAULT_TTL_SECONDS : list.ttlSeconds();
            return Duration.ofNanos((long) (Math.min(ttl, LONGEST_TTL_SECONDS) * 1e9));
        }

        @Override
        public Duration pause(StatusList cached) {
            return PAUSE;
        }
    }
}

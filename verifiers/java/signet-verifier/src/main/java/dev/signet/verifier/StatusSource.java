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

/** The status lists that tokens have named, each fetched again once it is older than its {@code ttl}. */
final class StatusSource {

    /** Held at a time; the one not asked for longest makes room. */
    static final int MOST_LISTS = 64;

    private static final double DEFAULT_TTL_SECONDS = 300;

    /** Whatever Signet says, a list is worth asking for each day. */
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
            return size() > MOST_LISTS;
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
     * The list at {@code uri}; null if there is none that may be used: until {@code exp}, whether or
     * not Signet can be reached, and without one until {@code ttl} is over.
     */
    CompletableFuture<StatusList> find(String uri) {
        Document<StatusList> document = document(uri);
        StatusList held = document.held();
        if (hasExpired(held)) {
            return document.replace(held).thenApply(replaced -> usable(document));
        }
        if (held != null && !document.isOld()) {
            return CompletableFuture.completedFuture(held);
        }
        if (usable(document) == null) {
            return document.renew().thenApply(renewed -> usable(document));
        }
        return document.renewBriefly().thenCompose(waited -> {
            StatusList list = usable(document);
            return list != null
                    ? CompletableFuture.completedFuture(list)
                    // It has expired in just that second.
                    : document.replace(document.held()).thenApply(replaced -> usable(document));
        });
    }

    private StatusList usable(Document<StatusList> document) {
        StatusList list = document.held();
        boolean isGone = list == null || hasExpired(list) || list.expiresAt() == null && document.isOld();
        return isGone ? null : list;
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
            Waiting.on(keys.find(jws.kid())).check(jws);
            Instant now = clock.instant();
            return StatusList.of(jws.payload(), uri, rules, now);
        }

        @Override
        public Duration lifetime(StatusList list, Fetcher.Answer answer) {
            double ttl = list.ttlSeconds() == null ? DEFAULT_TTL_SECONDS : list.ttlSeconds();
            return Duration.ofNanos((long) (Math.min(ttl, LONGEST_TTL_SECONDS) * 1e9));
        }

        @Override
        public Duration pause(StatusList held) {
            return PAUSE;
        }
    }
}

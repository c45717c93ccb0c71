package dev.signet.verifier;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * A document that is cached in memory and fetched again when it is stale, by one thread at a time.
 * Callers that need the result wait for the fetch; callers that can use the cached copy wait
 * briefly.
 *
 * <p>A failed fetch does not change the cached copy. Ages are measured on a monotonic clock, so
 * setting the host's clock neither keeps a copy for years nor causes endless fetches.
 */
final class Document<T> {

    private static final System.Logger LOG = System.getLogger(SignetVerifier.LOGGER);

    /** How long callers that can use the cached copy wait for a fetch, from its start. */
    private static final Duration STALE_WAIT = Duration.ofSeconds(1);

    private static final CompletableFuture<Void> COMPLETED = CompletableFuture.completedFuture(null);

    /**
     * The source of a document, and the rules for caching it. Its methods run in the fetch thread.
     */
    interface Source<T> {
        /** The name for the log. */
        String name();

        /** {@code etag} is that of the cached copy; null fetches unconditionally. */
        Fetcher.Answer fetch(String etag) throws IOException, InterruptedException;

        /** Parses a body; throws if it is invalid. */
        T read(byte[] body) throws InterruptedException;

        /** The time until the document is stale. */
        Duration lifetime(T value, Fetcher.Answer answer);

        /**
         * The pause after a failed fetch; {@code cached} is null before the first successful one.
         */
        Duration pause(T cached);
    }

    /** The last fetched document. It is replaced as a whole, so withdrawn entries are removed. */
    private record CacheEntry<T>(T value, String etag, long fetchedAt, long lifetime) {}

    /**
     * {@code doneOrTimedOut} completes with {@code done}, or after STALE_WAIT. Neither ever fails.
     */
    private record PendingFetch(CompletableFuture<Void> done, CompletableFuture<Void> doneOrTimedOut) {
        static PendingFetch start() {
            CompletableFuture<Void> done = new CompletableFuture<>();
            return new PendingFetch(
                    done, done.copy().completeOnTimeout(null, STALE_WAIT.toMillis(), TimeUnit.MILLISECONDS));
        }
    }

    private final Source<T> source;
    private final LongSupplier nanoTime;

    private volatile CacheEntry<T> entry;

    /** Guards the fields below. It is never locked during a fetch. */
    private final Lock lock = new ReentrantLock();

    private PendingFetch pending;
    private long startedAt; // read only after the first successful fetch
    private Long retryAt;

    Document(Source<T> source, LongSupplier nanoTime) {
        this.source = source;
        this.nanoTime = nanoTime;
    }

    /** The cached document, even if it is stale; null before the first successful fetch. */
    T cached() {
        CacheEntry<T> now = entry;
        return now == null ? null : now.value();
    }

    /** Whether there is no cached copy, or its lifetime has passed. */
    boolean isStale() {
        CacheEntry<T> now = entry;
        return now == null || nanoTime.getAsLong() - now.fetchedAt() >= now.lifetime();
    }

    /** Completes with the fetch in progress, or with a new one if the cached copy is stale. */
    CompletableFuture<Void> refresh() {
        PendingFetch current = startOrJoinFetch(this::isStale, false);
        return current == null ? COMPLETED : current.done();
    }

    /**
     * Like {@link #refresh()}, but completes after STALE_WAIT at the latest; the fetch continues.
     */
    CompletableFuture<Void> refreshBriefly() {
        PendingFetch current = startOrJoinFetch(this::isStale, false);
        return current == null ? COMPLETED : current.doneOrTimedOut();
    }

    /** Replaces an expired copy: no ETag is sent, because a 304 would be useless. */
    CompletableFuture<Void> refetch(T expired) {
        PendingFetch current = startOrJoinFetch(() -> cached() == expired, true);
        return current == null ? COMPLETED : current.done();
    }

    /**
     * Like {@link #refresh()}, but starts a fetch if the last one started at least {@code cooldown}
     * ago, even if the copy is fresh.
     */
    CompletableFuture<Void> refreshAfter(Duration cooldown) {
        PendingFetch current = startOrJoinFetch(() -> nanoTime.getAsLong() - startedAt >= cooldown.toNanos(), false);
        return current == null ? COMPLETED : current.done();
    }

    /**
     * Returns the fetch in progress, or a new one, or null if none is due or the pause after a
     * failure is not over. {@code isDue} is called under the lock, so that no other fetch can
     * complete in between.
     */
    private PendingFetch startOrJoinFetch(BooleanSupplier isDue, boolean unconditional) {
        lock.lock();
        try {
            if (pending != null) {
                return pending;
            }
            long now = nanoTime.getAsLong();
            boolean isPaused = retryAt != null && now - retryAt < 0;
            if (isPaused || !isDue.getAsBoolean()) {
                return null;
            }
            PendingFetch started = PendingFetch.start();
            CacheEntry<T> previous = unconditional ? null : entry;
            // A new thread that ends with the fetch, so there is no pool to exhaust or to close.
            Thread thread = new Thread(() -> run(started, previous, now), "signet-fetch");
            thread.setDaemon(true);
            thread.start();
            startedAt = now;
            pending = started;
            return started;
        } finally {
            lock.unlock();
        }
    }

    private void run(PendingFetch started, CacheEntry<T> previous, long fetchedAt) {
        Long pausedUntil = null;
        try {
            entry = toEntry(source.fetch(previous == null ? null : previous.etag()), previous, fetchedAt);
        } catch (Throwable error) { // the cached copy is still used
            LOG.log(Level.WARNING, "could not fetch " + source.name() + ": " + describe(error));
            pausedUntil = nanoTime.getAsLong() + source.pause(cached()).toNanos();
        } finally {
            lock.lock();
            retryAt = pausedUntil;
            pending = null;
            lock.unlock();
            started.done().complete(null);
        }
    }

    private CacheEntry<T> toEntry(Fetcher.Answer answer, CacheEntry<T> previous, long fetchedAt)
            throws IOException, InterruptedException {
        T value;
        String etag;
        if (answer.body() != null) {
            value = source.read(answer.body());
            etag = answer.etag();
        } else if (previous != null) {
            value = previous.value();
            etag = previous.etag();
        } else {
            throw new IOException("not modified, but nothing is cached");
        }
        return new CacheEntry<>(value, etag, fetchedAt, source.lifetime(value, answer).toNanos());
    }

    private static String describe(Throwable error) {
        return error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
    }
}

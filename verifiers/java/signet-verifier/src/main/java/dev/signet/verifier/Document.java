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
 * Something of Signet's that is kept in memory and fetched again when it is old: by one thread at a
 * time, for which everybody waits who needs it, and briefly who might.
 *
 * <p>A fetch that fails keeps what is held. Ages are measured on a clock that is never set: a host
 * whose time of day jumps neither keeps anything for years nor fetches without end.
 */
final class Document<T> {

    private static final System.Logger LOG = System.getLogger(SignetVerifier.LOGGER);

    /** From the start of a fetch, for who could go on with what is held. */
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private static final CompletableFuture<Void> DONE = CompletableFuture.completedFuture(null);

    /** Where a document comes from, and the rules that hold for it. Its methods run in the thread of the fetch. */
    interface Source<T> {
        /** For the log. */
        String name();

        /** {@code etag} is that of what is held; null asks for all of it. */
        Fetcher.Answer fetch(String etag) throws IOException, InterruptedException;

        /** Throws at what is not believed. */
        T read(byte[] body) throws InterruptedException;

        /** Until it is old. */
        Duration lifetime(T value, Fetcher.Answer answer);

        /** From a fetch that failed to the next attempt; {@code held} is null if there never was one that did not. */
        Duration pause(T held);
    }

    /** What was fetched last. Replaced as a whole: what Signet has withdrawn is gone from it. */
    private record Held<T>(T value, String etag, long since, long lifetime) {}

    /** {@code awaited} ends with {@code landed}, or when patience does. Neither ever fails. */
    private record Flight(CompletableFuture<Void> landed, CompletableFuture<Void> awaited) {
        static Flight begin() {
            CompletableFuture<Void> landed = new CompletableFuture<>();
            return new Flight(landed, landed.copy().completeOnTimeout(null, PATIENCE.toMillis(), TimeUnit.MILLISECONDS));
        }
    }

    private final Source<T> source;
    private final LongSupplier nanoTime;

    private volatile Held<T> held;

    /** Guards what follows; never held while something is fetched. */
    private final Lock lock = new ReentrantLock();

    private Flight flight;
    private long beganAt; // read only once there is something to be held
    private Long retryAt;

    Document(Source<T> source, LongSupplier nanoTime) {
        this.source = source;
        this.nanoTime = nanoTime;
    }

    /** What was fetched last, however old; null if nothing ever was. */
    T held() {
        Held<T> now = held;
        return now == null ? null : now.value();
    }

    /** Whether there is nothing, or only something that has outlived its lifetime. */
    boolean isOld() {
        Held<T> now = held;
        return now == null || nanoTime.getAsLong() - now.since() >= now.lifetime();
    }

    /** Ends with the fetch that is under way, or with one of its own if what is held is old. */
    CompletableFuture<Void> renew() {
        Flight current = fly(this::isOld, false);
        return current == null ? DONE : current.landed();
    }

    /** As {@link #renew()}, for who can go on with what is held if the fetch takes long; the fetch goes on. */
    CompletableFuture<Void> renewBriefly() {
        Flight current = fly(this::isOld, false);
        return current == null ? DONE : current.awaited();
    }

    /** As {@link #renew()}, where {@code expired} is held: even if Signet says it is unchanged, it is of no use. */
    CompletableFuture<Void> replace(T expired) {
        Flight current = fly(() -> held() == expired, true);
        return current == null ? DONE : current.landed();
    }

    /** As {@link #renew()}, however old what is held, if the last fetch began that long ago. */
    CompletableFuture<Void> renewAfter(Duration cooldown) {
        Flight current = fly(() -> nanoTime.getAsLong() - beganAt >= cooldown.toNanos(), false);
        return current == null ? DONE : current.landed();
    }

    /**
     * The fetch under way, one that is begun, or null if none is due. No pause after a failure is cut
     * short. Whether it is due is asked here, where no other fetch can land between question and answer.
     */
    private Flight fly(BooleanSupplier isDue, boolean whole) {
        lock.lock();
        try {
            if (flight != null) {
                return flight;
            }
            long now = nanoTime.getAsLong();
            boolean pauses = retryAt != null && now - retryAt < 0;
            if (pauses || !isDue.getAsBoolean()) {
                return null;
            }
            Flight begun = Flight.begin();
            Held<T> known = whole ? null : held;
            // A thread of its own, gone with the fetch: there is no pool to fill up or to close.
            Thread thread = new Thread(() -> run(begun, known, now), "signet-fetch");
            thread.setDaemon(true);
            thread.start();
            beganAt = now;
            flight = begun;
            return begun;
        } finally {
            lock.unlock();
        }
    }

    private void run(Flight begun, Held<T> known, long since) {
        Long pausedUntil = null;
        try {
            held = take(source.fetch(known == null ? null : known.etag()), known, since);
        } catch (Throwable error) { // whatever it is, what is held is kept
            LOG.log(Level.WARNING, "could not fetch " + source.name() + ": " + describe(error));
            pausedUntil = nanoTime.getAsLong() + source.pause(held()).toNanos();
        } finally {
            lock.lock();
            retryAt = pausedUntil;
            flight = null;
            lock.unlock();
            begun.landed().complete(null);
        }
    }

    private Held<T> take(Fetcher.Answer answer, Held<T> known, long since) throws IOException, InterruptedException {
        T value;
        String etag;
        if (answer.body() != null) {
            value = source.read(answer.body());
            etag = answer.etag();
        } else if (known != null) {
            value = known.value();
            etag = known.etag();
        } else {
            throw new IOException("unchanged, but nothing was there");
        }
        return new Held<>(value, etag, since, source.lifetime(value, answer).toNanos());
    }

    private static String describe(Throwable error) {
        return error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
    }
}

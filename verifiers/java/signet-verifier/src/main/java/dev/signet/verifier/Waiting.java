package dev.signet.verifier;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** What a thread waits for. */
final class Waiting {

    private Waiting() {}

    /** The value of a future that fails with a {@link VerificationException}, if at all. */
    static <T> T on(CompletableFuture<T> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException error) {
            if (error.getCause() instanceof VerificationException refusal) {
                throw refusal;
            }
            throw new IllegalStateException(error.getCause());
        }
    }
}

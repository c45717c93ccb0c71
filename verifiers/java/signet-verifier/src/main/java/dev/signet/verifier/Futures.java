package dev.signet.verifier;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Waiting for futures. */
final class Futures {

    private Futures() {}

    /** Waits for a future, and throws its {@link VerificationException} if it fails. */
    static <T> T await(CompletableFuture<T> future) throws InterruptedException {
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

package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import dev.signet.verifier.VerifierUnavailableException;
import org.springframework.core.Ordered;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebExceptionHandler;
import reactor.core.publisher.Mono;

/**
 * {@link UnavailableFilter} for WebFlux. It runs before Spring Boot's handler, which would respond
 * with 500.
 */
final class UnavailableHandler implements WebExceptionHandler, Ordered {

    /** The order of Spring Boot's handler is -1. */
    private static final int BEFORE_THE_LAST = -2;

    private final ReactiveSignetAnswerWriter writer;

    UnavailableHandler(ReactiveSignetAnswerWriter writer) {
        this.writer = writer;
    }

    @Override
    public int getOrder() {
        return BEFORE_THE_LAST;
    }

    @Override
    public Mono<Void> handle(ServerWebExchange exchange, Throwable thrown) {
        VerifierUnavailableException cause = SpringErrors.unavailableIn(thrown);
        boolean isOurs = cause != null && !exchange.getResponse().isCommitted();
        return isOurs ? writer.write(exchange, ErrorAnswer.to(cause)) : Mono.error(thrown);
    }
}

package dev.signet.spring;

import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.web.server.ServerAuthenticationEntryPoint;
import org.springframework.security.web.server.authorization.ServerAccessDeniedHandler;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Mono;

/** {@link SignetAnswers} for WebFlux. */
public final class ReactiveSignetAnswers implements ServerAuthenticationEntryPoint, ServerAccessDeniedHandler {

    private final ReactiveSignetAnswerWriter writer;

    ReactiveSignetAnswers(ReactiveSignetAnswerWriter writer) {
        this.writer = writer;
    }

    @Override
    public Mono<Void> commence(ServerWebExchange exchange, AuthenticationException error) {
        return writer.write(exchange, Denials.of(error));
    }

    @Override
    public Mono<Void> handle(ServerWebExchange exchange, AccessDeniedException error) {
        return exchange.getPrincipal()
                .map(caller -> Denials.of(error, caller instanceof Authentication known ? known : null))
                .switchIfEmpty(Mono.fromSupplier(() -> Denials.of(error, null)))
                .flatMap(answer -> writer.write(exchange, answer));
    }
}

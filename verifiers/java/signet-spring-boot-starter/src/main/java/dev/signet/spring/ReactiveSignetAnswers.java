package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import java.nio.charset.StandardCharsets;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.web.server.ServerAuthenticationEntryPoint;
import org.springframework.security.web.server.authorization.ServerAccessDeniedHandler;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Mono;

/** {@link SignetAnswers} for WebFlux. */
public final class ReactiveSignetAnswers implements ServerAuthenticationEntryPoint, ServerAccessDeniedHandler {

    ReactiveSignetAnswers() {}

    @Override
    public Mono<Void> commence(ServerWebExchange exchange, AuthenticationException error) {
        return write(exchange, Denials.of(error));
    }

    @Override
    public Mono<Void> handle(ServerWebExchange exchange, AccessDeniedException error) {
        return exchange.getPrincipal()
                .map(caller -> Denials.of(error, caller instanceof Authentication known ? known : null))
                .switchIfEmpty(Mono.fromSupplier(() -> Denials.of(error, null)))
                .flatMap(answer -> write(exchange, answer));
    }

    static Mono<Void> write(ServerWebExchange exchange, ErrorAnswer answer) {
        ServerHttpResponse response = exchange.getResponse();
        response.setStatusCode(HttpStatusCode.valueOf(answer.status()));
        answer.headers().forEach(response.getHeaders()::set);
        response.getHeaders().setContentType(MediaType.APPLICATION_JSON);
        DataBuffer body = response.bufferFactory().wrap(answer.body().getBytes(StandardCharsets.US_ASCII));
        return response.writeWith(Mono.just(body));
    }
}

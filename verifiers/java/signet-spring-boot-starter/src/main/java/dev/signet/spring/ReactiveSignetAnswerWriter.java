package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import java.nio.charset.StandardCharsets;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Mono;

/** {@link SignetAnswerWriter} for WebFlux. */
@FunctionalInterface
public interface ReactiveSignetAnswerWriter {

    /** Sends the response. */
    Mono<Void> write(ServerWebExchange exchange, ErrorAnswer answer);

    /** Sends status, headers and body in the format of Signet's verifiers in all languages. */
    static Mono<Void> writePlain(ServerWebExchange exchange, ErrorAnswer answer) {
        ServerHttpResponse response = exchange.getResponse();
        response.setStatusCode(HttpStatusCode.valueOf(answer.status()));
        answer.headers().forEach(response.getHeaders()::set);
        response.getHeaders().setContentType(MediaType.APPLICATION_JSON);
        DataBuffer body = response.bufferFactory().wrap(answer.body().getBytes(StandardCharsets.US_ASCII));
        return response.writeWith(Mono.just(body));
    }
}

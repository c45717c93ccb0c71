package example;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.nimbusds.jwt.proc.JWTProcessor;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.Executors;

public final class Tasks {

    /** How long cached keys are used while they cannot be fetched. */
    private static final long OUTAGE_MILLISECONDS = 24 * 3600 * 1000;

    private final JWTProcessor<SecurityContext> processor;

    private Tasks(String issuer, String audience) throws IOException {
        var keys = JWKSourceBuilder.create(URI.create(issuer + "/.well-known/jwks.json").toURL())
                .retrying(true)
                .outageTolerant(OUTAGE_MILLISECONDS)
                .build();
        var processor = new DefaultJWTProcessor<SecurityContext>();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.RS256, keys));
        processor.setJWSTypeVerifier(
                new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(
                audience,
                new JWTClaimsSet.Builder().issuer(issuer).build(),
                Set.of("exp", "iat", "sub", "jti", "client_id")));
        this.processor = processor;
    }

    public static void main(String[] arguments) throws IOException {
        var tasks = new Tasks(System.getenv("ISSUER"), System.getenv("AUDIENCE"));
        var port = Integer.parseInt(System.getenv("PORT"));
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/whoami", tasks::whoami);
        server.start();
    }

    private void whoami(HttpExchange exchange) throws IOException {
        var header = exchange.getRequestHeaders().getFirst("Authorization");
        if (header == null || !header.startsWith("Bearer ")) {
            answer(exchange, 401, "unauthorized");
            return;
        }
        String subject;
        try {
            subject = processor.process(header.substring("Bearer ".length()), null).getSubject();
        } catch (Exception refused) { // also unchecked ones, for some malformed tokens
            answer(exchange, 401, "unauthorized");
            return;
        }
        answer(exchange, 200, subject);
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        var body = text.getBytes(StandardCharsets.UTF_8);
        if (status == 401) {
            exchange.getResponseHeaders().set("WWW-Authenticate", "Bearer");
        }
        exchange.sendResponseHeaders(status, body.length);
        try (var stream = exchange.getResponseBody()) {
            stream.write(body);
        }
    }
}

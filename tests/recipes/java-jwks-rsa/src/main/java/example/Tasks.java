package example;

import com.auth0.jwk.JwkException;
import com.auth0.jwk.JwkProvider;
import com.auth0.jwk.JwkProviderBuilder;
import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import com.auth0.jwt.exceptions.JWTVerificationException;
import com.auth0.jwt.interfaces.DecodedJWT;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.interfaces.RSAPublicKey;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public final class Tasks {

    private static final int LEEWAY_SECONDS = 30;

    private final String issuer;
    private final String audience;
    private final JwkProvider keys;

    private Tasks(String issuer, String audience) throws IOException {
        this.issuer = issuer;
        this.audience = audience;
        keys = new JwkProviderBuilder(URI.create(issuer + "/.well-known/jwks.json").toURL())
                .cached(10, 1, TimeUnit.HOURS) // a revoked key is accepted for this long
                .rateLimited(10, 1, TimeUnit.MINUTES)
                .build();
    }

    private DecodedJWT verify(String token) throws JwkException {
        var unverified = JWT.decode(token);
        if (!"at+jwt".equals(unverified.getType())) {
            throw new JWTVerificationException("not an access token");
        }
        var key = (RSAPublicKey) keys.get(unverified.getKeyId()).getPublicKey();
        return JWT.require(Algorithm.RSA256(key, null))
                .withIssuer(issuer)
                .withAudience(audience)
                .withClaimPresence("exp")
                .withClaimPresence("jti")
                .withClaimPresence("client_id")
                .acceptLeeway(LEEWAY_SECONDS)
                .build()
                .verify(token);
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
            subject = verify(header.substring("Bearer ".length())).getSubject();
        } catch (JwkException | RuntimeException refused) {
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

package dev.signet.verifier;

import static dev.signet.verifier.Outcome.ACCEPTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import dev.signet.verifier.junit.SignetTestIssuer;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Faulty and hostile responses over real connections. */
@Timeout(60)
class FetchingTest {

    private static final String KEYS = "/.well-known/jwks.json";
    private static final String LIST = "/status/1";
    private static final int MEBIBYTE = 1024 * 1024;

    @RegisterExtension
    final SignetTestIssuer signet = SignetTestIssuer.start();

    private final SignetVerifier verifier = builder().build();

    private SignetVerifier.Builder builder() {
        return SignetVerifier.builder().issuer(signet.issuer()).audience(signet.audience());
    }

    @Test
    void tokenIsVerifiedOverARealConnection() {
        String token = signet.token().sign();
        assertEquals(ACCEPTED, Outcome.of(verifier, token));
        signet.logOut(token);

        assertEquals("revoked", eventually(() -> Outcome.of(verifier, token), "revoked"));
        assertEquals("bad_signature", Outcome.of(verifier, signet.token().forged().sign()));
    }

    @Test
    void rotationsWithUnknownKidsRefuseNoValidToken() throws Exception {
        AtomicInteger tokensWithUnknownKids = new AtomicInteger();
        Thread attacker = new Thread(() -> {
            while (!Thread.currentThread().isInterrupted()) {
                Outcome.of(verifier, signet.token().header("kid", UUID.randomUUID().toString()).sign());
                tokensWithUnknownKids.incrementAndGet();
            }
        });
        attacker.start();
        long started = System.nanoTime();
        try {
            for (int turn = 0; turn < 60; turn++) {
                if (turn % 30 == 15) {
                    signet.rotate();
                }
                assertEquals(ACCEPTED, Outcome.of(verifier, signet.token().sign()), "turn " + turn);
                Thread.sleep(50);
            }
        } finally {
            attacker.interrupt();
            attacker.join();
        }
        long seconds = Duration.ofNanos(System.nanoTime() - started).toSeconds();
        assertTrue(tokensWithUnknownKids.get() > 50, "only " + tokensWithUnknownKids);
        assertTrue(signet.requests(KEYS) <= seconds + 2, "more than one in each max-age: " + signet.requests(KEYS));
    }

    @Test
    void redirectsAreNotFollowed() {
        signet.answer(KEYS, exchange -> {
            exchange.getResponseHeaders().set("Location", signet.issuer() + "/elsewhere");
            exchange.sendResponseHeaders(302, -1);
        });

        assertEquals("keys_unavailable", Outcome.of(verifier, signet.token().sign()));
        assertEquals(0, signet.requests("/elsewhere"));
    }

    @ParameterizedTest
    @CsvSource({KEYS + ",262144,keys_unavailable", LIST + ",2097152,status_unavailable"})
    void oversizedBodyIsNotReadToItsEnd(String path, long limit, String expected) {
        AtomicLong sent = new AtomicLong();
        signet.answer(path, exchange -> {
            exchange.sendResponseHeaders(200, 0); // in pieces, without a length
            byte[] piece = " ".repeat(65_536).getBytes(StandardCharsets.US_ASCII);
            for (int number = 0; number < 16_384; number++) {
                exchange.getResponseBody().write(piece); // fails once the client has closed the connection
                sent.addAndGet(piece.length);
            }
        });

        assertEquals(expected, Outcome.of(verifier, signet.token().sign()));
        // The connection's buffers on both sides hold some mebibytes.
        assertTrue(sent.get() <= limit + 16 * MEBIBYTE, "bytes sent: " + sent);
    }

    @Test
    void bodyOfTheMaximumSizeIsRead() {
        String keys = signet.keySet();
        signet.answer(KEYS, body(keys + " ".repeat(KeySet.LARGEST - keys.length())));
        assertEquals(ACCEPTED, Outcome.of(verifier, signet.token().sign()));

        signet.answer(KEYS, body(keys + " ".repeat(KeySet.LARGEST - keys.length() + 1)));
        assertEquals("keys_unavailable", Outcome.of(builder().build(), signet.token().sign()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gzip", "deflate", "identity, gzip"})
    void compressedBodyIsNotDecompressed(String coding) {
        AtomicReference<String> asked = new AtomicReference<>();
        signet.answer(KEYS, exchange -> {
            asked.set(exchange.getRequestHeaders().getFirst("Accept-Encoding"));
            exchange.getResponseHeaders().set("Content-Encoding", coding);
            body(signet.keySet()).handle(exchange);
        });

        assertEquals("keys_unavailable", Outcome.of(verifier, signet.token().sign()));
        assertEquals("identity", asked.get());
    }

    @Test
    void slowBodyTimesOut() {
        signet.answer(KEYS, exchange -> {
            exchange.sendResponseHeaders(200, 0);
            trickle(exchange);
        });
        SignetVerifier hasty = builder().timeout(Duration.ofMillis(300)).build();
        long started = System.nanoTime();

        assertEquals("keys_unavailable", Outcome.of(hasty, signet.token().sign()));
        Duration taken = Duration.ofNanos(System.nanoTime() - started);
        assertTrue(taken.toMillis() >= 250 && taken.toMillis() < 2000, taken::toString);
    }

    @Test
    void endlessHeaderTimesOut() throws IOException {
        try (ServerSocket silent = new ServerSocket(0)) {
            Thread thread = new Thread(() -> {
                try (Socket socket = silent.accept(); InputStream in = socket.getInputStream()) {
                    socket.getOutputStream().write("HTTP/1.1 200 OK\r\nX: ".getBytes(StandardCharsets.US_ASCII));
                    in.transferTo(java.io.OutputStream.nullOutputStream());
                } catch (IOException gone) {
                    // the verifier has closed the connection
                }
            });
            thread.start();
            String url = "http://127.0.0.1:" + silent.getLocalPort();
            SignetVerifier hasty = builder().baseUrl(url).timeout(Duration.ofMillis(300)).build();

            assertEquals("keys_unavailable", Outcome.of(hasty, signet.token().sign()));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {204, 206, 301, 304, 401, 404, 500, 503})
    void onlyStatus200IsAccepted(int status) {
        signet.answer(KEYS, exchange -> {
            byte[] keys = signet.keySet().getBytes(StandardCharsets.UTF_8);
            boolean hasBody = status != 204 && status != 304;
            exchange.sendResponseHeaders(status, hasBody ? keys.length : -1);
            if (hasBody) {
                exchange.getResponseBody().write(keys);
            }
        });

        assertEquals("keys_unavailable", Outcome.of(verifier, signet.token().sign()));
    }

    @Test
    void truncatedBodyIsNotUsed() {
        signet.answer(KEYS, exchange -> {
            exchange.sendResponseHeaders(200, 100_000);
            exchange.getResponseBody().write(signet.keySet().getBytes(StandardCharsets.UTF_8));
        });

        assertEquals("keys_unavailable", Outcome.of(verifier, signet.token().sign()));
    }

    @Test
    void serviceStartsWithoutSignetAndRecovers() {
        signet.goAway();
        SignetVerifier early = builder().build();
        String token = signet.token().sign();
        assertEquals("keys_unavailable", Outcome.of(early, token));

        signet.comeBack();

        assertEquals(ACCEPTED, eventually(() -> Outcome.of(early, token), ACCEPTED));
    }

    private static HttpHandler body(String text) {
        return exchange -> {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, bytes.length);
            exchange.getResponseBody().write(bytes);
        };
    }

    private static void trickle(HttpExchange exchange) throws IOException {
        try {
            for (int number = 0; number < 500; number++) {
                exchange.getResponseBody().write(' ');
                exchange.getResponseBody().flush(); // fails once the client has closed the connection
                Thread.sleep(20);
            }
        } catch (InterruptedException over) {
            Thread.currentThread().interrupt();
        }
    }

    private static String eventually(Callable<String> outcome, String wanted) {
        try {
            String last = outcome.call();
            for (int tries = 0; tries < 500 && !last.equals(wanted); tries++) {
                Thread.sleep(10);
                last = outcome.call();
            }
            return last;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}

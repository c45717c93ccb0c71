package dev.signet.verifier.junit;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.InstantSource;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * An issuer for tests, on a free port of this machine and with its own keys. It signs tokens, ends
 * sessions, rotates its keys and can be unreachable.
 *
 * <pre>{@code
 * @RegisterExtension
 * static final SignetTestIssuer signet = SignetTestIssuer.start();
 *
 * String token = signet.token().userId(ADA).scope("tasks:read").sign();
 * signet.logOut(token);
 * }</pre>
 *
 * <p>Configure the service with {@link #issuer()} and {@link #audience()}. Before each test the
 * issuer becomes reachable again and the handlers of {@link #answer} are removed; ended sessions
 * stay ended. It listens until the tests end.
 */
public final class SignetTestIssuer implements BeforeEachCallback {

    /** The number of statuses in the list. */
    private static final int LIST_SIZE = 1 << 14;

    private static final String KEY_SET = "/.well-known/jwks.json";
    private static final String STATUS_LIST = "/status/1";

    private final HttpServer server;
    private final String audience = "https://service.example.test";
    private final InstantSource clock;
    private final Map<String, HttpHandler> overrides = new ConcurrentHashMap<>();
    private final Map<String, AtomicInteger> requests = new ConcurrentHashMap<>();
    private final Map<String, Integer> statusIndexes = new ConcurrentHashMap<>();
    private final BitSet ended = new BitSet();
    private final AtomicInteger nextStatusIndex = new AtomicInteger();

    private volatile int activeKey;
    private volatile boolean isAway;
    private volatile Duration statusTtl = Duration.ofMillis(100);
    private volatile Duration statusLife = Duration.ofMinutes(10);
    private volatile int maxAgeSeconds = 1;

    private SignetTestIssuer(InstantSource clock) {
        this.clock = clock;
        SigningKey.numbered(activeKey + 1); // generated now: during a fetch, this might exceed the timeout
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        server.setExecutor(Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "signet-test-issuer");
            thread.setDaemon(true);
            return thread;
        }));
        server.createContext("/", this::handle);
        server.start();
    }

    /** Starts the issuer, so that its URL is known before the service under test starts. */
    public static SignetTestIssuer start() {
        return start(InstantSource.system());
    }

    /** Like {@link #start()}, but signs with the times of this clock. */
    public static SignetTestIssuer start(InstantSource clock) {
        return new SignetTestIssuer(clock);
    }

    /** The {@code iss} of its tokens, and its URL. */
    public String issuer() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    /** The default {@code aud} of its tokens. */
    public String audience() {
        return audience;
    }

    /** Starts a token: a user's token of a new session, valid for five minutes. */
    public TestToken token() {
        long now = clock.instant().getEpochSecond();
        TestToken token = new TestToken(this::sign, clock.instant())
                .userId(TestToken.randomUserId())
                .claim("iss", issuer())
                .audience(audience)
                .claim("client_id", "signet")
                .scope("openid")
                .claim("email", "ada@example.test")
                .claim("sid", UUID.randomUUID().toString())
                .claim("jti", UUID.randomUUID().toString())
                .claim("iat", now)
                .claim("auth_time", now)
                .expiresIn(Duration.ofMinutes(5));
        int statusIndex = nextStatusIndex.getAndIncrement() % LIST_SIZE;
        return token.claim("status", Map.of("status_list", Map.of("idx", statusIndex, "uri", statusListUri())));
    }

    /** Ends the session of a token of this issuer. A service notices it with the next list. */
    public void logOut(String token) {
        Integer statusIndex = statusIndexes.get(token);
        if (statusIndex == null) {
            throw new IllegalArgumentException("the token belongs to no session of this issuer");
        }
        synchronized (ended) {
            ended.set(statusIndex);
        }
    }

    /** Signs with the next key, which was already in the key set, and publishes its successor. */
    public synchronized void rotate() {
        SigningKey.numbered(activeKey + 2);
        activeKey++;
    }

    /** Responds to every request with 503 from now on. */
    public void goAway() {
        isAway = true;
    }

    /** Ends {@link #goAway()}. */
    public void comeBack() {
        isAway = false;
    }

    /** How long services cache the list of ended sessions: 100 ms by default (Signet: 10 s). */
    public void statusTtl(Duration ttl) {
        statusTtl = ttl;
    }

    /** How long a list may be used while it cannot be fetched again: 10 min by default. */
    public void statusLife(Duration life) {
        statusLife = life;
    }

    /** How long services cache the key set: 1 s by default (Signet: 300 s). */
    public void maxAgeSeconds(int seconds) {
        maxAgeSeconds = seconds;
    }

    /**
     * Handles requests for a path with {@code handler} until the next test; null removes the
     * handler.
     */
    public void answer(String path, HttpHandler handler) {
        if (handler == null) {
            overrides.remove(path);
        } else {
            overrides.put(path, handler);
        }
    }

    /** How often a path was requested: {@code /.well-known/jwks.json}, {@code /status/1}. */
    public int requests(String path) {
        AtomicInteger count = requests.get(path);
        return count == null ? 0 : count.get();
    }

    /** The URL of the status list. */
    public String statusListUri() {
        return issuer() + STATUS_LIST;
    }

    /** The published key set: the active key, its predecessors and its successor. */
    public String keySet() {
        List<Map<String, Object>> keys = IntStream.rangeClosed(0, activeKey + 1)
                .mapToObj(number -> SigningKey.numbered(number).jwk())
                .toList();
        return Json.of(Map.of("keys", keys));
    }

    /** The published list of ended sessions. */
    public String statusList() {
        return statusList(Map.of());
    }

    /** Like {@link #statusList()}, with changed claims; a null value removes a claim. */
    public String statusList(Map<String, ?> changes) {
        long now = clock.instant().getEpochSecond();
        Map<String, Object> claims = new LinkedHashMap<>();
        claims.put("iss", issuer());
        claims.put("sub", statusListUri());
        claims.put("iat", now);
        claims.put("exp", now + statusLife.toSeconds());
        claims.put("ttl", statusTtl.toMillis() / 1000.0);
        claims.put("status_list", Map.of("bits", 1, "lst", packed()));
        claims.putAll(changes);
        claims.values().removeIf(Objects::isNull);
        SigningKey key = SigningKey.numbered(activeKey);
        return key.sign(Map.of("alg", "RS256", "typ", "statuslist+jwt", "kid", key.kid()), claims);
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        overrides.clear();
        comeBack();
    }

    private String sign(TestToken token) {
        SigningKey key = SigningKey.numbered(activeKey);
        Map<String, Object> header = new LinkedHashMap<>(token.headers());
        header.putIfAbsent("kid", key.kid());
        SigningKey signer = token.isForged() ? new SigningKey(key.kid(), SigningKey.unpublished()) : key;
        String signed = signer.sign(header, token.claims());
        if (token.claims().get("status") instanceof Map<?, ?> status
                && status.get("status_list") instanceof Map<?, ?> list
                && list.get("idx") instanceof Integer statusIndex) {
            statusIndexes.put(signed, statusIndex);
        }
        return signed;
    }

    private String packed() {
        byte[] statuses = new byte[LIST_SIZE / 8];
        synchronized (ended) {
            byte[] set = ended.toByteArray(); // the lowest bits first, as the draft specifies
            System.arraycopy(set, 0, statuses, 0, set.length);
        }
        ByteArrayOutputStream compressed = new ByteArrayOutputStream();
        try (DeflaterOutputStream deflater = new DeflaterOutputStream(compressed)) {
            deflater.write(statuses);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return SigningKey.encode(compressed.toByteArray());
    }

    private void handle(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getRawPath();
        requests.computeIfAbsent(path, first -> new AtomicInteger()).incrementAndGet();
        HttpHandler override = overrides.get(path);
        try (exchange) {
            if (isAway) {
                exchange.sendResponseHeaders(503, -1);
            } else if (override != null) {
                override.handle(exchange);
            } else {
                publish(exchange, path);
            }
        }
    }

    private void publish(HttpExchange exchange, String path) throws IOException {
        switch (path) {
            case KEY_SET -> send(exchange, "application/jwk-set+json", keySet());
            case STATUS_LIST -> send(exchange, "application/statuslist+jwt", statusList());
            default -> exchange.sendResponseHeaders(404, -1);
        }
    }

    private void send(HttpExchange exchange, String type, String body) throws IOException {
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.getResponseHeaders().set("Cache-Control", "public, max-age=" + maxAgeSeconds);
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, bytes.length);
        exchange.getResponseBody().write(bytes);
    }
}

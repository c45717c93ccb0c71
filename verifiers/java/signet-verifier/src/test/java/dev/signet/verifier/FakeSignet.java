package dev.signet.verifier;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.net.ConnectException;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.zip.DeflaterOutputStream;

/**
 * An in-memory Signet with manual clocks. It publishes {@code keys} and one status list, signs any
 * claims, and counts the fetches.
 */
final class FakeSignet {

    static final String ISSUER = "https://id.example.test";
    static final String AUDIENCE = "https://api.example.test";
    static final String USER = "0199aa00-0000-7000-8000-000000000001";
    static final String KEYS_URL = ISSUER + "/.well-known/jwks.json";
    static final String LIST_URL = ISSUER + "/status/1";
    static final long START = 1_800_000_000;

    static final KeyPair FIRST_KEY = newKey();
    static final KeyPair SECOND_KEY = newKey();

    final Map<String, KeyPair> keys = Collections.synchronizedMap(new LinkedHashMap<>(Map.of("first", FIRST_KEY)));
    /** Changes to the default claims of the list; null removes a claim. */
    final Map<String, Object> listClaims = new LinkedHashMap<>();
    /** Responses by URL, which replace the published documents. */
    final Map<String, FakeHttp.Reply> answers = new ConcurrentHashMap<>();
    final List<HttpRequest> requests = Collections.synchronizedList(new ArrayList<>());
    final List<Integer> httpStatuses = Collections.synchronizedList(new ArrayList<>());

    volatile String cacheControl = "max-age=300";
    volatile boolean isUp = true;
    /** Thrown instead of a response. */
    volatile RuntimeException error;
    /** Responses wait for it. */
    volatile CompletableFuture<Void> gate = CompletableFuture.completedFuture(null);

    private final byte[] statuses = new byte[16];
    private volatile long nowMillis = START * 1000;
    private volatile long nanos = -42; // System.nanoTime may start at any value

    SignetVerifier.Builder builder() {
        return SignetVerifier.builder()
                .issuer(ISSUER)
                .audience(AUDIENCE)
                .httpClient(new FakeHttp(this::serve))
                .clock(() -> Instant.ofEpochMilli(nowMillis))
                .nanoTime(() -> nanos);
    }

    SignetVerifier verifier() {
        return builder().build();
    }

    void advance(double seconds) {
        nowMillis += Math.round(seconds * 1e3);
        advanceMonotonicClock(seconds);
    }

    void advanceMonotonicClock(double seconds) {
        nanos += Math.round(seconds * 1e9);
    }

    long now() {
        return nowMillis / 1000;
    }

    int fetches(String url) {
        synchronized (requests) {
            return (int) requests.stream().filter(request -> request.uri().toString().equals(url)).count();
        }
    }

    void revoke(int index) {
        statuses[index / 8] |= (byte) (1 << index % 8);
    }

    static Map<String, Object> at(long index, String uri) {
        return Map.of("status_list", Map.of("idx", index, "uri", uri));
    }

    /** A user's token, valid for an hour. */
    String token() {
        return token(Map.of());
    }

    /** A user's token with changed claims; null removes a claim. */
    String token(Map<String, ?> changes) {
        return token("first", Map.of(), changes);
    }

    String token(String kid, Map<String, ?> header, Map<String, ?> changes) {
        Map<String, Object> claims = new LinkedHashMap<>();
        claims.put("iss", ISSUER);
        claims.put("aud", AUDIENCE);
        claims.put("sub", USER);
        claims.put("user_id", USER);
        claims.put("client_id", "signet");
        claims.put("scope", "profile tasks");
        claims.put("iat", now());
        claims.put("exp", now() + 3600);
        claims.put("jti", "a-token");
        claims.put("status", at(3, LIST_URL));
        claims.putAll(changes);
        Map<String, Object> headers = new LinkedHashMap<>(Map.of("alg", "RS256", "typ", "at+jwt", "kid", kid));
        headers.putAll(header);
        return sign(headers, claims, keys.getOrDefault(kid, FIRST_KEY));
    }

    /** A client credentials token, which needs no list. */
    String clientToken() {
        return clientToken("first");
    }

    String clientToken(String kid) {
        return token(kid, Map.of(), without("status", "user_id"));
    }

    static Map<String, Object> without(String... claims) {
        Map<String, Object> changes = new LinkedHashMap<>();
        Arrays.stream(claims).forEach(claim -> changes.put(claim, null));
        return changes;
    }

    String listToken() {
        return listToken(LIST_URL, FIRST_KEY);
    }

    String listToken(String uri, KeyPair key) {
        Map<String, Object> claims = new LinkedHashMap<>();
        claims.put("iss", ISSUER);
        claims.put("sub", uri);
        claims.put("iat", now());
        claims.put("exp", now() + 600);
        claims.put("ttl", 10);
        claims.put("status_list", Map.of("bits", 1, "lst", encode(deflate(statuses))));
        claims.putAll(listClaims);
        return sign(Map.of("alg", "RS256", "typ", "statuslist+jwt", "kid", "first"), claims, key);
    }

    String jwks() {
        synchronized (keys) {
            return TestJson.of(Map.of("keys", keys.entrySet().stream()
                    .map(key -> jwk(key.getKey(), key.getValue()))
                    .toList()));
        }
    }

    static FakeHttp.Reply reply(int status, String body) {
        return new FakeHttp.Reply(status, Map.of(), body.getBytes(StandardCharsets.UTF_8));
    }

    private CompletableFuture<FakeHttp.Reply> serve(HttpRequest request) {
        requests.add(request);
        return gate.thenApply(opened -> {
            if (error != null) {
                throw error;
            }
            if (!isUp) {
                throw new UncheckedIOException(new ConnectException("refused"));
            }
            FakeHttp.Reply reply = answers.get(request.uri().toString());
            reply = reply != null ? reply : publish(request);
            httpStatuses.add(reply.status());
            return reply;
        });
    }

    private FakeHttp.Reply publish(HttpRequest request) {
        String url = request.uri().toString();
        String body;
        String etag;
        if (url.equals(KEYS_URL)) {
            body = jwks();
            etag = "\"" + body.hashCode() + "\"";
        } else if (url.equals(LIST_URL)) {
            body = listToken();
            etag = "\"" + Objects.hash(Arrays.hashCode(statuses), listClaims) + "\"";
        } else {
            return reply(404, "");
        }
        Map<String, String> headers = new LinkedHashMap<>(Map.of("ETag", etag));
        if (cacheControl != null) {
            headers.put("Cache-Control", cacheControl);
        }
        boolean isUnchanged = request.headers().firstValue("If-None-Match").filter(etag::equals).isPresent();
        byte[] sent = isUnchanged ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
        return new FakeHttp.Reply(isUnchanged ? 304 : 200, headers, sent);
    }

    static String sign(Map<String, ?> header, Map<String, Object> claims, KeyPair key) {
        Map<String, Object> present = new LinkedHashMap<>(claims);
        present.values().removeIf(Objects::isNull);
        String signed = encode(TestJson.of(header)) + "." + encode(TestJson.of(present));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(key.getPrivate());
            signature.update(signed.getBytes(StandardCharsets.US_ASCII));
            return signed + "." + encode(signature.sign());
        } catch (GeneralSecurityException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    static String encode(String text) {
        return encode(text.getBytes(StandardCharsets.UTF_8));
    }

    static String encode(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }

    static byte[] deflate(byte[] data) {
        ByteArrayOutputStream compressed = new ByteArrayOutputStream();
        try (DeflaterOutputStream deflater = new DeflaterOutputStream(compressed)) {
            deflater.write(data);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return compressed.toByteArray();
    }

    private static Map<String, Object> jwk(String kid, KeyPair key) {
        BigInteger modulus = ((RSAPublicKey) key.getPublic()).getModulus();
        byte[] octets = modulus.toByteArray();
        String n = encode(Arrays.copyOfRange(octets, 1, octets.length));
        return Map.of("kty", "RSA", "kid", kid, "use", "sig", "e", "AQAB", "n", n);
    }

    private static KeyPair newKey() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}

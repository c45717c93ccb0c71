package dev.signet.verifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case of {@code verifiers/vectors}, which all languages run. */
class CasesTest {

    private static final Map<String, Object> BOOK = read(Path.of("../../vectors/cases.json"));

    @TestFactory
    Stream<DynamicTest> waiting() {
        return cases().map(one -> dynamicTest((String) one.get("name"), () -> {
            assertEquals(one.get("expect"), outcome(one, verifier(one)));
        }));
    }

    @TestFactory
    Stream<DynamicTest> withoutWaiting() {
        return cases().map(one -> dynamicTest((String) one.get("name"), () -> {
            assertEquals(one.get("expect"), outcomeAsync(one, verifier(one)));
        }));
    }

    @TestFactory
    Stream<DynamicTest> listsOfTheDraft() {
        return list(BOOK.get("lists")).map(packed -> dynamicTest((String) packed.get("name"), () -> {
            int bits = ((Long) packed.get("bits")).intValue();
            StatusList statuses = new StatusList(bits, StatusList.unpack((String) packed.get("lst")), null, null);
            Map<String, Object> named = map(packed.get("statuses"));
            long size = (Long) packed.get("size");
            for (long index = 0; index < size; index++) {
                long expected = (Long) named.getOrDefault(String.valueOf(index), 0L);
                assertEquals(expected, statuses.status(index).orElseThrow(), "at " + index);
            }
            assertEquals(true, statuses.status(size).isEmpty());
        }));
    }

    private static Stream<Map<String, Object>> cases() {
        return list(BOOK.get("cases"));
    }

    private static SignetVerifier verifier(Map<String, Object> one) {
        Map<String, Object> setting = new HashMap<>(BOOK);
        setting.putAll(one);
        Instant now = Instant.ofEpochSecond((Long) setting.get("now"));
        return SignetVerifier.builder()
                .issuer((String) setting.get("issuer"))
                .audience((String) setting.get("audience"))
                .acceptTypJwt(Boolean.TRUE.equals(setting.get("accept_typ_jwt")))
                .leeway(Duration.ofSeconds((Long) setting.get("leeway_seconds")))
                .httpClient(new FakeHttp(request -> CompletableFuture.completedFuture(
                        serve(setting, request.uri().toString()))))
                .clock(() -> now)
                .nanoTime(() -> 0)
                .build();
    }

    private static FakeHttp.Reply serve(Map<String, Object> setting, String url) {
        if (url.equals(setting.get("issuer") + "/.well-known/jwks.json")) {
            Object jwks = setting.get("jwks");
            return reply(200, jwks instanceof String text ? text : TestJson.of(jwks), "application/json");
        }
        Object list = map(setting.getOrDefault("status_lists", Map.of())).get(url);
        return list == null ? reply(404, "", "text/plain") : reply(200, (String) list, "application/statuslist+jwt");
    }

    private static FakeHttp.Reply reply(int status, String body, String type) {
        return new FakeHttp.Reply(status, Map.of("Content-Type", type), body.getBytes(StandardCharsets.UTF_8));
    }

    private static Map<String, Object> outcome(Map<String, Object> one, SignetVerifier verifier) {
        try {
            return members(verifier.verify((String) one.get("token")));
        } catch (VerificationException error) {
            return Map.of("error", error.code().toString());
        }
    }

    private static Map<String, Object> outcomeAsync(Map<String, Object> one, SignetVerifier verifier) {
        try {
            return members(verifier.verifyAsync((String) one.get("token")).join());
        } catch (CompletionException error) {
            return Map.of("error", ((VerificationException) error.getCause()).code().toString());
        }
    }

    private static Map<String, Object> members(AccessToken token) {
        Map<String, Object> members = new HashMap<>();
        members.put("subject", token.subject());
        members.put("user_id", token.userId());
        members.put("client_id", token.clientId());
        members.put("session_id", token.sessionId());
        members.put("scope", token.scope());
        members.put("email", token.email());
        members.put("token_id", token.tokenId());
        members.put("issued_at", token.issuedAt().getEpochSecond());
        members.put("expires_at", token.expiresAt().getEpochSecond());
        members.put("auth_time", token.authTime() == null ? null : token.authTime().getEpochSecond());
        return members;
    }

    private static Map<String, Object> read(Path file) {
        try {
            return StrictJson.object(Files.readAllBytes(file));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static Stream<Map<String, Object>> list(Object value) {
        return ((List<Map<String, Object>>) value).stream();
    }
}

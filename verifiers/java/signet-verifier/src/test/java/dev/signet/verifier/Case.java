package dev.signet.verifier;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** A case of {@code verifiers/vectors}, with the members that all cases of its file share. */
record Case(Map<String, Object> setting) {

    static Case of(Map<String, Object> shared, Map<String, Object> own) {
        Map<String, Object> setting = new HashMap<>(shared);
        setting.putAll(own);
        return new Case(setting);
    }

    /** Verifies the token, and returns the result in the format of {@code expect}. */
    Map<String, Object> verdict() {
        try {
            return members(verifier().verify(token()));
        } catch (VerificationException error) {
            return Map.of("error", error.code().toString());
        }
    }

    /** Like {@link #verdict}, without blocking. */
    Map<String, Object> verdictAsync() {
        try {
            return members(verifier().verifyAsync(token()).join());
        } catch (CompletionException error) {
            return Map.of("error", ((VerificationException) error.getCause()).code().toString());
        }
    }

    private String token() {
        return (String) setting.get("token");
    }

    private SignetVerifier verifier() {
        Instant now = Instant.ofEpochSecond((Long) setting.get("now"));
        return SignetVerifier.builder()
                .issuer((String) setting.get("issuer"))
                .audience((String) setting.get("audience"))
                .acceptTypJwt(Boolean.TRUE.equals(setting.get("accept_typ_jwt")))
                .leeway(Duration.ofSeconds((Long) setting.get("leeway_seconds")))
                .httpClient(new FakeHttp(request -> CompletableFuture.completedFuture(
                        serve(request.uri().toString()))))
                .clock(() -> now)
                .nanoTime(() -> 0)
                .build();
    }

    private FakeHttp.Reply serve(String url) {
        if (url.equals(setting.get("issuer") + "/.well-known/jwks.json")) {
            Object jwks = setting.get("jwks");
            return reply(200, jwks instanceof String text ? text : TestJson.of(jwks), "application/json");
        }
        Object list = ((Map<?, ?>) setting.getOrDefault("status_lists", Map.of())).get(url);
        return list == null ? reply(404, "", "text/plain") : reply(200, (String) list, "application/statuslist+jwt");
    }

    private static FakeHttp.Reply reply(int status, String body, String type) {
        return new FakeHttp.Reply(status, Map.of("Content-Type", type), body.getBytes(StandardCharsets.UTF_8));
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
}

package dev.signet.verifier;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A case of {@code verifiers/vectors/authorization.json}, which all languages run.
 *
 * @param authorization the values of the header fields {@code Authorization}
 * @param serverMayRefuse whether Tomcat may respond with 400 or 431 itself
 * @param expect the status, {@code error} and {@code www_authenticate}
 */
public record AuthorizationCase(
        String name,
        List<String> authorization,
        String query,
        String body,
        boolean serverMayRefuse,
        Map<String, Object> expect) {

    /** All cases, with this valid token. */
    public static Stream<AuthorizationCase> all(String token) throws IOException {
        String file = Files.readString(Path.of("../../vectors/authorization.json")).replace("{token}", token);
        return AuthorizationCase.<List<Map<String, Object>>>cast(
                        StrictJson.object(file.getBytes(StandardCharsets.UTF_8)).get("cases"))
                .stream()
                .map(members -> new AuthorizationCase(
                        (String) members.get("name"),
                        cast(members.get("authorization")),
                        (String) members.getOrDefault("query", ""),
                        (String) members.getOrDefault("body", ""),
                        Boolean.TRUE.equals(members.get("server_may_refuse")),
                        cast(members.get("expect"))));
    }

    @SuppressWarnings("unchecked")
    private static <T> T cast(Object value) {
        return (T) value;
    }
}

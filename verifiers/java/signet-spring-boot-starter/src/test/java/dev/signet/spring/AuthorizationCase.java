package dev.signet.spring;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.springframework.boot.json.JsonParserFactory;

/**
 * A case of {@code verifiers/vectors/authorization.json}, which all languages run.
 *
 * @param authorization the values of the header fields {@code Authorization}
 * @param serverMayRefuse whether the server may respond with 400 or 431 itself
 * @param mayDiffer whether Spring Security may refuse the request with another challenge
 * @param expect the status, {@code error} and {@code www_authenticate}
 */
record AuthorizationCase(
        String name,
        List<String> authorization,
        String query,
        String body,
        boolean serverMayRefuse,
        boolean mayDiffer,
        Map<String, Object> expect) {

    /** All cases, with this valid token. */
    static Stream<AuthorizationCase> all(String token) throws IOException {
        String file = Files.readString(Path.of("../../vectors/authorization.json")).replace("{token}", token);
        Map<String, Object> document = JsonParserFactory.getJsonParser().parseMap(file);
        return AuthorizationCase.<List<Map<String, Object>>>cast(document.get("cases")).stream()
                .map(members -> new AuthorizationCase(
                        (String) members.get("name"),
                        cast(members.get("authorization")),
                        (String) members.getOrDefault("query", ""),
                        (String) members.getOrDefault("body", ""),
                        Boolean.TRUE.equals(members.get("server_may_refuse")),
                        members.get("other_challenge_in") instanceof List<?> names && names.contains("spring"),
                        cast(members.get("expect"))));
    }

    /** The response in the format of {@link #expect}. */
    Map<String, Object> sendTo(Service service) throws IOException {
        // A socket, because an HTTP client changes or refuses some values.
        try (Socket socket = new Socket("127.0.0.1", service.port())) {
            socket.getOutputStream().write(request().getBytes(ISO_8859_1));
            return outcome(new String(socket.getInputStream().readAllBytes(), ISO_8859_1));
        }
    }

    private String request() {
        StringBuilder request = new StringBuilder(body.isEmpty() ? "GET /me" : "POST /tasks");
        request.append("?").append(query).append(" HTTP/1.0\r\nHost: service\r\n");
        if (!body.isEmpty()) {
            request.append("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
                    .append(body.length())
                    .append("\r\n");
        }
        for (String value : authorization) {
            request.append("Authorization: ").append(value).append("\r\n");
        }
        return request.append("\r\n").append(body).toString();
    }

    private static Map<String, Object> outcome(String response) {
        Map<String, Object> found = new HashMap<>();
        found.put("status", Integer.valueOf(response.split(" ")[1]));
        find("\"error\":\"(.*?)\"", response, "error", found);
        find("(?im)^WWW-Authenticate: (.*?)\r?$", response, "www_authenticate", found);
        return found;
    }

    private static void find(String pattern, String response, String name, Map<String, Object> found) {
        Matcher matcher = Pattern.compile(pattern).matcher(response);
        if (matcher.find()) {
            found.put(name, matcher.group(1));
        }
    }

    @SuppressWarnings("unchecked")
    private static <T> T cast(Object value) {
        return (T) value;
    }
}

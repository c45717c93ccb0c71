package dev.signet.verifier.servlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.signet.verifier.AccessToken;
import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.junit.SignetTestIssuer;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.startup.Tomcat;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Every row of the table of responses in {@code verifiers/README.md}, in Tomcat. */
class SignetFilterTest {

    private static final String ADA = "0199aa00-0000-7000-8000-000000000001";
    private static final String INVALID_TOKEN = "Bearer error=\"invalid_token\"";

    @RegisterExtension
    static final SignetTestIssuer signet = SignetTestIssuer.start();

    @TempDir
    static Path directory;

    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static Tomcat tomcat;

    /**
     * Returns the caller's user id. /users/ID is for this user, /scoped needs two scopes, and
     * /wrapped throws a wrapped refusal.
     */
    private static final class Tasks extends HttpServlet {
        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response)
                throws IOException, ServletException {
            AccessToken token = SignetFilter.tokenOf(request);
            String path = request.getRequestURI();
            response.setHeader("Access-Control-Allow-Origin", "*");
            if (path.startsWith("/users/")) {
                token.requireUser(path.substring("/users/".length()));
            }
            if (path.equals("/scoped")) {
                response.getWriter().write("the filter discards this");
                token.requireScope("tasks", "tasks:write");
            }
            if (path.equals("/wrapped")) {
                throw new ServletException(new IllegalStateException(assertThrows(
                        RuntimeException.class, () -> token.requireUser("nobody"))));
            }
            response.getWriter().write(String.valueOf(token.userId()));
        }
    }

    @BeforeAll
    static void serve() throws LifecycleException {
        SignetVerifier verifier = SignetVerifier.builder()
                .issuer(signet.issuer())
                .audience(signet.audience())
                .timeout(Duration.ofMillis(500))
                .build();
        tomcat = FilteredTomcat.start(directory, new SignetFilter(verifier), new Tasks());
    }

    @AfterAll
    static void stop() throws LifecycleException {
        tomcat.stop();
        tomcat.destroy();
    }

    @Test
    void validTokenIsAccepted() {
        String token = signet.token().userId(ADA).scope("a tasks tasks:write").sign();
        assertEquals(ADA, get("/me", "Bearer " + token).body());
        assertEquals(ADA, get("/users/" + ADA, "Bearer " + token).body());
        assertEquals(200, get("/scoped", "Bearer " + token).statusCode());
    }

    @Test
    void requestWithoutABearerTokenGetsAChallenge() {
        assertRefused(get("/me"), 401, "invalid_request", "Bearer");
        assertRefused(get("/me", "Basic YTpi"), 401, "invalid_request", "Bearer");
    }

    @Test
    void invalidTokenGets401() {
        String expired = signet.token().expiresIn(Duration.ofMinutes(-5)).sign();
        for (String token : new String[] {
            expired, signet.token().audience("another").sign(), signet.token().forged().sign(), "x"
        }) {
            assertRefused(get("/me", "Bearer " + token), 401, "invalid_token", INVALID_TOKEN);
        }
    }

    @Test
    void revokedTokenGets401() throws InterruptedException {
        String token = signet.token().sign();
        assertEquals(200, get("/me", "Bearer " + token).statusCode());
        signet.logOut(token);
        Thread.sleep(300); // longer than the ttl of a list

        assertRefused(get("/me", "Bearer " + token), 401, "invalid_token", INVALID_TOKEN);
    }

    @Test
    void missingScopeGets403() {
        String challenge = "Bearer error=\"insufficient_scope\", scope=\"tasks tasks:write\"";
        for (String scope : new String[] {"profile tasks", "tasks:write", "", "tasks tasks:writer"}) {
            String token = signet.token().scope(scope).sign();
            assertRefused(get("/scoped", "Bearer " + token), 403, "insufficient_scope", challenge);
        }
    }

    @Test
    void pathOfAnotherUserGets403() {
        String own = signet.token().userId(ADA).sign();
        String ofAClient = signet.token().client("reporting").sign();

        assertRefused(get("/users/somebody", "Bearer " + own), 403, "forbidden", "");
        assertRefused(get("/users/" + ADA.toUpperCase(), "Bearer " + own), 403, "forbidden", "");
        assertRefused(get("/users/reporting", "Bearer " + ofAClient), 403, "forbidden", "");
        assertRefused(get("/users/null", "Bearer " + ofAClient), 403, "forbidden", "");
        assertRefused(get("/wrapped", "Bearer " + own), 403, "forbidden", "");
    }

    @Test
    void missingStatusListGets503() {
        signet.answer("/status/2", exchange -> exchange.sendResponseHeaders(500, -1));
        String token = signet.token()
                .claim("status", Map.of(
                        "status_list", Map.of("idx", 1, "uri", signet.issuer() + "/status/2")))
                .sign();

        HttpResponse<String> answer = get("/me", "Bearer " + token);

        assertRefused(answer, 503, "temporarily_unavailable", "");
        assertEquals("5", answer.headers().firstValue("Retry-After").orElseThrow());
    }

    private static HttpResponse<String> get(String path, String... authorization) {
        URI uri = URI.create("http://127.0.0.1:" + tomcat.getConnector().getLocalPort() + path);
        HttpRequest.Builder request = HttpRequest.newBuilder(uri);
        for (String header : authorization) {
            request.header("Authorization", header);
        }
        try {
            return CLIENT.send(request.build(), BodyHandlers.ofString());
        } catch (IOException | InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void assertRefused(HttpResponse<String> answer, int status, String error, String challenge) {
        assertEquals(status, answer.statusCode());
        assertEquals(challenge, answer.headers().firstValue("WWW-Authenticate").orElse(""));
        assertEquals("application/json", answer.headers().firstValue("Content-Type").orElse("").split(";")[0]);
        assertEquals(
                "{\"error\":\"" + error + "\",\"error_description\":\"",
                answer.body().replaceFirst("(\"error_description\":\").*", "$1"));
    }
}

package dev.signet.verifier.servlet;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.signet.verifier.AuthorizationCase;
import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.junit.SignetTestIssuer;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.Socket;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.startup.Tomcat;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Every shared case of the header field {@code Authorization}, in Tomcat. */
class AuthorizationTest {

    @RegisterExtension
    static final SignetTestIssuer signet = SignetTestIssuer.start();

    @TempDir
    static Path directory;

    private static Tomcat tomcat;

    private static final class Empty extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) {
            SignetFilter.tokenOf(request);
        }
    }

    @BeforeAll
    static void serve() throws LifecycleException {
        SignetVerifier verifier = SignetVerifier.builder()
                .issuer(signet.issuer())
                .audience(signet.audience())
                .build();
        tomcat = FilteredTomcat.start(directory, new SignetFilter(verifier), new Empty());
    }

    @AfterAll
    static void stop() throws LifecycleException {
        tomcat.stop();
        tomcat.destroy();
    }

    @TestFactory
    Stream<DynamicTest> sharedCases() throws IOException {
        return AuthorizationCase.all(signet.token().sign()).map(one -> dynamicTest(one.name(), () -> {
            Map<String, Object> found = outcome(send(one));
            if (found.get("status").equals(400L) || found.get("status").equals(431L)) {
                assertTrue(one.serverMayRefuse(), found::toString);
            } else {
                assertEquals(one.expect(), found);
            }
        }));
    }

    /** Uses a socket, because an HTTP client changes or refuses some values. */
    private static String send(AuthorizationCase one) throws IOException {
        StringBuilder request = new StringBuilder(one.body().isEmpty() ? "GET" : "POST");
        request.append(" /?").append(one.query()).append(" HTTP/1.0\r\nHost: service\r\n");
        if (!one.body().isEmpty()) {
            request.append("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
                    .append(one.body().length())
                    .append("\r\n");
        }
        for (String value : one.authorization()) {
            request.append("Authorization: ").append(value).append("\r\n");
        }
        request.append("\r\n").append(one.body());
        try (Socket socket = new Socket("127.0.0.1", tomcat.getConnector().getLocalPort())) {
            socket.getOutputStream().write(request.toString().getBytes(ISO_8859_1));
            return new String(socket.getInputStream().readAllBytes(), ISO_8859_1);
        }
    }

    private static Map<String, Object> outcome(String response) {
        Map<String, Object> found = new HashMap<>();
        found.put("status", Long.valueOf(response.split(" ")[1]));
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
}

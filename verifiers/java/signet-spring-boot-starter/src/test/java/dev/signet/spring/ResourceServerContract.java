package dev.signet.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.signet.verifier.junit.SignetTestIssuer;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Tests of an application that sets only issuer and audience, for servlets and for WebFlux. Its
 * routes: GET /me returns the caller, GET /users/{userId}/tasks is for this user, and POST /tasks
 * needs a scope.
 */
@Timeout(120)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class ResourceServerContract {

    static final String ADA = "0199aa00-0000-7000-8000-000000000001";

    @RegisterExtension
    final SignetTestIssuer signet = SignetTestIssuer.start();

    private Service service;

    /** An application whose only security configuration is method security. */
    abstract Class<?> application();

    /** An application with a custom filter chain, as in Spring's documentation. */
    abstract Class<?> applicationWithOwnChain();

    abstract String type();

    @BeforeAll
    void start() {
        service = Service.start(application(), type(), signet);
    }

    @AfterAll
    void stop() {
        service.close();
    }

    @Test
    void validTokenIsAccepted() {
        String token = signet.token().userId(ADA).scope("tasks:read tasks:write").sign();

        assertEquals(ADA + " SCOPE_tasks:read SCOPE_tasks:write", service.get("/me", token).body());
        assertEquals(200, service.get("/users/" + ADA + "/tasks", token).statusCode());
        assertEquals(200, service.send("POST", "/tasks", token).statusCode());
        assertEquals(200, service.get("/me", signet.token().expiresIn(Duration.ZERO).sign()).statusCode());
        assertEquals("null SCOPE_openid", service.get("/me", signet.token().client("job").sign()).body());
    }

    @Test
    void requestWithoutATokenGetsAChallenge() {
        assertRefused(service.get("/me"), 401, "invalid_request", "Bearer");
        assertRefused(service.send("POST", "/tasks"), 401, "invalid_request", "Bearer");
    }

    @TestFactory
    Stream<DynamicTest> sharedAuthorizationFieldsGetTheExpectedResponse() throws IOException {
        return AuthorizationCase.all(signet.token().sign()).map(one -> dynamicTest(one.name(), () -> {
            Map<String, Object> found = one.sendTo(service);
            if (found.get("status").equals(400) || found.get("status").equals(431)) {
                assertTrue(one.serverMayRefuse(), found::toString);
            } else if (one.mayDiffer()) {
                assertEquals(401, found.get("status"));
            } else {
                assertEquals(one.expect(), found);
            }
        }));
    }

    @Test
    void invalidTokenGets401() {
        for (String token : new String[] {
            signet.token().header("typ", "JWT").sign(), // the typ of ID tokens, which Spring accepts
            signet.token().audience("https://other.example.test").sign(),
            signet.token().claim("iss", signet.issuer() + "/").sign(),
            signet.token().expiresIn(Duration.ofMinutes(-2)).sign(),
            signet.token().without("jti").sign(),
            signet.token().forged().sign(),
        }) {
            assertRefused(service.get("/me", token), 401, "invalid_token", "Bearer error=\"invalid_token\"");
        }
    }

    @Test
    void logoutTakesEffect() throws InterruptedException {
        String ended = signet.token().sign();
        String goingOn = signet.token().sign();
        assertEquals(200, service.get("/me", ended).statusCode());
        signet.logOut(ended);
        Thread.sleep(300); // longer than the ttl of a list

        assertRefused(service.get("/me", ended), 401, "invalid_token", "Bearer error=\"invalid_token\"");
        assertEquals(200, service.get("/me", goingOn).statusCode());
    }

    @Test
    void rotationRefusesNoValidToken() throws InterruptedException {
        for (int turn = 0; turn < 40; turn++) {
            if (turn % 20 == 10) {
                signet.rotate();
            }
            service.get("/me", signet.token().header("kid", UUID.randomUUID().toString()).sign());
            assertEquals(200, service.get("/me", signet.token().sign()).statusCode(), "turn " + turn);
            Thread.sleep(50);
        }
    }

    @Test
    void tokensAreAcceptedWhileSignetIsUnreachable() throws InterruptedException {
        String token = signet.token().sign();
        assertEquals(200, service.get("/me", token).statusCode());
        signet.goAway();
        Thread.sleep(1500); // keys and list are stale by now

        for (int turn = 0; turn < 10; turn++) {
            assertEquals(200, service.get("/me", token).statusCode());
        }
    }

    @Test
    void missingScopeGets403() {
        HttpResponse<String> answer = service.send("POST", "/tasks", signet.token().scope("tasks:read").sign());

        assertRefused(
                answer, 403, "insufficient_scope", "Bearer error=\"insufficient_scope\", scope=\"tasks:write\"");
    }

    @Test
    void pathOfAnotherUserGets403() {
        String token = signet.token().userId(ADA).sign();

        assertRefused(service.get("/users/" + ADA.toUpperCase() + "/tasks", token), 403, "forbidden", "");
        String ofAClient = signet.token().client("job").sign();
        assertRefused(service.get("/users/job/tasks", ofAClient), 403, "forbidden", "");
        assertRefused(service.get("/users/null/tasks", ofAClient), 403, "forbidden", "");
    }

    @Test
    void missingStatusListGets503() {
        String token = signet.token()
                .claim("status", Map.of("status_list", Map.of("idx", 1, "uri", signet.issuer() + "/status/none")))
                .sign();

        HttpResponse<String> answer = service.get("/me", token);

        assertRefused(answer, 503, "temporarily_unavailable", "");
        assertEquals("5", answer.headers().firstValue("Retry-After").orElseThrow());
    }

    @Test
    void serviceStartsWithoutSignetAndRecovers() throws InterruptedException {
        signet.goAway();
        try (Service early = Service.start(application(), type(), signet)) {
            String token = signet.token().sign();
            HttpResponse<String> answer = early.get("/me", token);
            assertRefused(answer, 503, "temporarily_unavailable", "");

            signet.comeBack();
            for (int tries = 0; tries < 50 && early.get("/me", token).statusCode() != 200; tries++) {
                Thread.sleep(100);
            }
            assertEquals(200, early.get("/me", token).statusCode());
        }
    }

    @Test
    void customFilterChainHasTheSameChecks() throws InterruptedException {
        try (Service own = Service.start(applicationWithOwnChain(), type(), signet)) {
            assertEquals(200, own.get("/open").statusCode());
            assertEquals(401, own.get("/me").statusCode());
            String token = signet.token().userId(ADA).sign();
            assertEquals(200, own.get("/me", token).statusCode());
            assertEquals(403, own.send("POST", "/tasks", token).statusCode());

            signet.logOut(token);
            Thread.sleep(300);
            HttpResponse<String> refused = own.get("/me", token);
            assertEquals(401, refused.statusCode());
            String challenge = refused.headers().firstValue("WWW-Authenticate").orElseThrow();
            assertEquals("Bearer error=\"invalid_token\"", challenge.split(",")[0]);
            assertFalse(challenge.contains("revoked"), challenge);

            String withMissingList = signet.token()
                    .claim("status", Map.of("status_list", Map.of("idx", 1, "uri", signet.issuer() + "/status/none")))
                    .sign();
            assertRefused(own.get("/me", withMissingList), 503, "temporarily_unavailable", "");
        }
    }

    private static void assertRefused(HttpResponse<String> answer, int status, String error, String challenge) {
        assertEquals(status, answer.statusCode(), answer.body());
        assertEquals(challenge, answer.headers().firstValue("WWW-Authenticate").orElse(""));
        assertEquals("application/json", answer.headers().firstValue("Content-Type").orElse(""));
        assertEquals(
                "{\"error\":\"" + error + "\",\"error_description\":\"",
                answer.body().replaceFirst("(\"error_description\":\").*", "$1"));
    }
}

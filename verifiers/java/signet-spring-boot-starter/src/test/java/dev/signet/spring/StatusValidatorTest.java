package dev.signet.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.junit.SignetTestIssuer;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An application with Spring's decoder and the validator, which detects logouts. */
@Timeout(120)
class StatusValidatorTest {

    @RegisterExtension
    final SignetTestIssuer signet = SignetTestIssuer.start();

    private Service service;

    @Configuration
    @EnableAutoConfiguration
    @RestController
    static class Application {
        @Bean
        JwtDecoder ownDecoder(
                @Value("${spring.security.oauth2.resourceserver.jwt.issuer-uri}") String issuer,
                SignetVerifier verifier) {
            NimbusJwtDecoder decoder = NimbusJwtDecoder.withJwkSetUri(issuer + "/.well-known/jwks.json")
                    .validateType(false)
                    .build();
            decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(
                    new JwtTypeValidator(List.of("at+jwt")),
                    new JwtIssuerValidator(issuer),
                    new JwtTimestampValidator(),
                    new SignetStatusValidator(verifier)));
            return decoder;
        }

        @GetMapping("/me")
        String me(@AuthenticationPrincipal Jwt caller) {
            return caller.getSubject();
        }
    }

    @BeforeEach
    void start() {
        service = Service.start(Application.class, "servlet", signet);
    }

    @AfterEach
    void stop() {
        service.close();
    }

    @Test
    void endedSessionIsRefusedWithTheNextList() throws InterruptedException {
        String ended = signet.token().sign();
        String goesOn = signet.token().sign();
        assertEquals(200, service.get("/me", ended).statusCode());

        signet.logOut(ended);
        Thread.sleep(300);

        HttpResponse<String> refused = service.get("/me", ended);
        assertEquals(401, refused.statusCode());
        String challenge = refused.headers().firstValue("WWW-Authenticate").orElseThrow();
        assertFalse(challenge.contains("revoked"), challenge);
        assertEquals(200, service.get("/me", goesOn).statusCode());
    }

    @Test
    void clientTokenNeedsNoList() {
        assertEquals(200, service.get("/me", signet.token().client("job").sign()).statusCode());
    }

    @ParameterizedTest
    @MethodSource("noReferences")
    void invalidStatusReferenceIsRefused(Object status) {
        assertEquals(401, service.get("/me", signet.token().claim("status", status).sign()).statusCode());
    }

    static List<Object> noReferences() {
        return List.of(
                "x",
                Map.of(),
                Map.of("status_list", "x"),
                Map.of("status_list", Map.of("idx", 1)),
                Map.of("status_list", Map.of("idx", 1, "uri", "https://elsewhere.example.test/status/1")),
                Map.of("status_list", Map.of("idx", "1", "uri", "x")));
    }

    @Test
    void unavailableListGets503() {
        String withMissingList = signet.token()
                .claim("status", Map.of("status_list", Map.of("idx", 1, "uri", signet.issuer() + "/status/none")))
                .sign();

        HttpResponse<String> answer = service.get("/me", withMissingList);

        assertEquals(503, answer.statusCode());
        assertEquals("5", answer.headers().firstValue("Retry-After").orElse(""));
    }
}

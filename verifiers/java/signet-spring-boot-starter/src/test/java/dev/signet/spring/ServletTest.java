package dev.signet.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

class ServletTest extends ResourceServerContract {

    @Configuration
    @EnableAutoConfiguration
    @EnableMethodSecurity
    @Import(Routes.class)
    static class Application {}

    @Configuration
    @EnableAutoConfiguration
    @EnableMethodSecurity
    @Import(Routes.class)
    static class ApplicationWithOwnChain {
        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            return http.authorizeHttpRequests(requests -> requests
                            .requestMatchers("/open").permitAll()
                            .anyRequest().authenticated())
                    .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
                    .build();
        }
    }

    @Configuration
    @EnableAutoConfiguration
    static class ApplicationWithOwnDecoder {
        static final JwtDecoder OWN = token -> {
            throw new BadJwtException("never");
        };

        @Bean
        JwtDecoder ownDecoder() {
            return OWN;
        }
    }

    @RestController
    static class Routes {
        @GetMapping("/me")
        String me(@AuthenticationPrincipal SignetJwt caller, Authentication authentication) {
            return caller.userId() + " " + authentication.getAuthorities().stream()
                    .map(GrantedAuthority::getAuthority)
                    .filter(authority -> authority.startsWith("SCOPE_")) // Spring Security 7 adds authentication factors
                    .sorted()
                    .collect(Collectors.joining(" "));
        }

        @GetMapping("/users/{userId}/tasks")
        @PreAuthorize("@signet.isUser(#userId)")
        String tasks(@PathVariable String userId) {
            return userId;
        }

        @PostMapping("/tasks")
        @PreAuthorize("hasAuthority('SCOPE_tasks:write')")
        String add() {
            return "added";
        }

        @GetMapping("/open")
        String open() {
            return "open";
        }
    }

    @Override
    Class<?> application() {
        return Application.class;
    }

    @Override
    Class<?> applicationWithOwnChain() {
        return ApplicationWithOwnChain.class;
    }

    @Override
    String type() {
        return "servlet";
    }

    @ParameterizedTest
    @CsvSource({"issuer-uri,audiences", "audiences,issuer-uri"})
    void startFailsWithoutARequiredProperty(String set, String missing) {
        String prefix = "spring.security.oauth2.resourceserver.jwt.";
        for (Map<String, Object> properties : List.<Map<String, Object>>of(
                Map.of(prefix + set, signet.issuer()),
                Map.of(prefix + set, signet.issuer(), prefix + missing, ""))) {
            RuntimeException failure = assertThrows(
                    RuntimeException.class, () -> Service.start(Application.class, type(), properties));

            FailureAnalysis analysis = new MissingSettingFailureAnalyzer().analyze(failure);
            assertTrue(analysis.getDescription().contains(prefix + missing), analysis.getDescription());
        }
    }

    @Test
    void decoderOfTheApplicationIsNotReplaced() {
        try (Service own = Service.start(ApplicationWithOwnDecoder.class, type(), signet)) {
            assertSame(ApplicationWithOwnDecoder.OWN, own.context.getBean(JwtDecoder.class));
        }
    }

    @Test
    void settingsReachTheVerifier() {
        Map<String, Object> properties = Map.of(
                SignetAutoConfiguration.ISSUER, "https://id.example.test",
                SignetAutoConfiguration.AUDIENCES, "https://other.example.test, " + signet.audience(),
                "signet.base-url", signet.issuer(),
                "signet.accept-typ-jwt", "true",
                "signet.when-status-unavailable", "accept");
        try (Service own = Service.start(Application.class, type(), properties)) {
            String token = signet.token()
                    .claim("iss", "https://id.example.test")
                    .header("typ", "JWT")
                    .claim("status", Map.of("status_list", Map.of("idx", 1, "uri", "https://id.example.test/none")))
                    .sign();
            assertEquals(200, own.get("/me", token).statusCode());
        }
    }
}

package dev.signet.spring;

import java.time.Duration;
import java.util.stream.Collectors;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.http.client.ReactorResourceFactory;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.method.configuration.EnableReactiveMethodSecurity;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.web.server.SecurityWebFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Mono;

class ReactiveTest extends ResourceServerContract {

    @Configuration
    @EnableAutoConfiguration
    @EnableReactiveMethodSecurity
    @Import({Routes.class, OwnLoops.class})
    static class Application {}

    @Configuration
    @EnableAutoConfiguration
    @EnableReactiveMethodSecurity
    @Import({Routes.class, OwnLoops.class})
    static class ApplicationWithOwnChain {
        @Bean
        SecurityWebFilterChain chain(ServerHttpSecurity http) {
            return http.authorizeExchange(exchanges -> exchanges
                            .pathMatchers("/open").permitAll()
                            .anyExchange().authenticated())
                    .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
                    .build();
        }
    }

    /**
     * Event loops of the application itself. With the shared ones, closing one application of a
     * process would end the server of another.
     */
    @Configuration
    static class OwnLoops {
        @Bean
        ReactorResourceFactory reactorResources() {
            ReactorResourceFactory factory = new ReactorResourceFactory();
            factory.setUseGlobalResources(false);
            factory.setShutdownQuietPeriod(Duration.ZERO);
            return factory;
        }
    }

    @RestController
    static class Routes {
        @GetMapping("/me")
        Mono<String> me(@AuthenticationPrincipal SignetJwt caller, Authentication authentication) {
            return Mono.just(caller.userId() + " " + authentication.getAuthorities().stream()
                    .map(GrantedAuthority::getAuthority)
                    .filter(authority -> authority.startsWith("SCOPE_")) // Spring Security 7 adds authentication factors
                    .sorted()
                    .collect(Collectors.joining(" ")));
        }

        @GetMapping("/users/{userId}/tasks")
        @PreAuthorize("@signet.isUser(authentication, #userId)")
        Mono<String> tasks(@PathVariable String userId) {
            return Mono.just(userId);
        }

        @PostMapping("/tasks")
        @PreAuthorize("hasAuthority('SCOPE_tasks:write')")
        Mono<String> add() {
            return Mono.just("added");
        }

        @GetMapping("/open")
        Mono<String> open() {
            return Mono.just("open");
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
        return "reactive";
    }
}

package dev.signet.spring;

import dev.signet.verifier.Bearer;
import dev.signet.verifier.MissingTokenException;
import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.VerificationException;
import java.util.ArrayList;
import java.util.List;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.HttpHeaders;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.ReactiveJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.web.server.SecurityWebFilterChain;
import org.springframework.web.reactive.DispatcherHandler;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebExceptionHandler;
import reactor.core.publisher.Mono;

/** For WebFlux. Beans of the application replace these beans, except the exception handler. */
@AutoConfiguration(
        after = SignetAutoConfiguration.class,
        beforeName = {
            // Spring Boot 3.5, Spring Boot 4
            "org.springframework.boot.autoconfigure.security.oauth2.resource.reactive.ReactiveOAuth2ResourceServerAutoConfiguration",
            "org.springframework.boot.security.oauth2.server.resource.autoconfigure.reactive.ReactiveOAuth2ResourceServerAutoConfiguration"
        })
@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
@ConditionalOnClass({DispatcherHandler.class, SecurityWebFilterChain.class})
public class SignetReactiveAutoConfiguration {

    /**
     * Does not block: a token is verified at once, or when the necessary documents have been
     * fetched.
     */
    @Bean
    @ConditionalOnMissingBean
    ReactiveJwtDecoder signetReactiveJwtDecoder(SignetVerifier verifier) {
        return token -> Mono.fromFuture(() -> verifier.verifyAsync(token))
                .<Jwt>map(accepted -> new SignetJwt(token, accepted))
                .onErrorMap(VerificationException.class, SpringErrors::of);
    }

    @Bean
    @ConditionalOnMissingBean
    ReactiveSignetAnswerWriter reactiveSignetAnswerWriter() {
        return ReactiveSignetAnswerWriter::writePlain;
    }

    @Bean
    WebExceptionHandler signetUnavailableHandler(ReactiveSignetAnswerWriter writer) {
        return new UnavailableHandler(writer);
    }

    @Bean
    @ConditionalOnMissingBean
    ReactiveSignetAnswers reactiveSignetAnswers(ReactiveSignetAnswerWriter writer) {
        return new ReactiveSignetAnswers(writer);
    }

    /**
     * Like Spring Boot's chain, it requires a token for every request, but with Signet's responses.
     */
    @Bean
    @ConditionalOnMissingBean(SecurityWebFilterChain.class)
    SecurityWebFilterChain signetSecurityWebFilterChain(ServerHttpSecurity http, ReactiveSignetAnswers answers) {
        return http.authorizeExchange(exchanges -> exchanges.anyExchange().authenticated())
                .csrf(ServerHttpSecurity.CsrfSpec::disable)
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults())
                        .bearerTokenConverter(SignetReactiveAutoConfiguration::bearer)
                        .authenticationEntryPoint(answers)
                        .accessDeniedHandler(answers))
                .build();
    }

    /**
     * Spring would use the first of two {@code Authorization} headers.
     *
     * <p>{@code getValuesAsList} would split a value at its commas, and lose some of them. {@code
     * get} has a different signature in Spring 7.
     */
    private static Mono<Authentication> bearer(ServerWebExchange exchange) {
        List<String> headers = new ArrayList<>();
        exchange.getRequest().getHeaders().forEach((name, values) -> {
            if (name.equalsIgnoreCase(HttpHeaders.AUTHORIZATION)) {
                headers.addAll(values);
            }
        });
        try {
            return Mono.just(new BearerTokenAuthenticationToken(Bearer.token(headers)));
        } catch (MissingTokenException none) {
            return Mono.empty();
        }
    }
}

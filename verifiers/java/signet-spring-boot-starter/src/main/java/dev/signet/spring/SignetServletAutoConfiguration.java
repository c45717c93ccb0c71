package dev.signet.spring;

import dev.signet.verifier.Bearer;
import dev.signet.verifier.MissingTokenException;
import dev.signet.verifier.SignetVerifier;
import dev.signet.verifier.VerificationException;
import jakarta.servlet.Filter;
import java.util.Collections;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.web.SecurityFilterChain;

/** For servlets. Beans of the application replace these beans, except the filter. */
@AutoConfiguration(
        after = SignetAutoConfiguration.class,
        beforeName = {
            // Spring Boot 3.5, Spring Boot 4
            "org.springframework.boot.autoconfigure.security.oauth2.resource.servlet.OAuth2ResourceServerAutoConfiguration",
            "org.springframework.boot.security.oauth2.server.resource.autoconfigure.servlet.OAuth2ResourceServerAutoConfiguration"
        })
@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
@ConditionalOnClass({Filter.class, SecurityFilterChain.class})
public class SignetServletAutoConfiguration {

    /** Replaces Spring's decoder, which refuses {@code at+jwt} and loses its keys in an outage. */
    @Bean
    @ConditionalOnMissingBean
    JwtDecoder signetJwtDecoder(SignetVerifier verifier) {
        return token -> {
            try {
                return new SignetJwt(token, verifier.verify(token));
            } catch (VerificationException error) {
                throw SpringErrors.of(error);
            }
        };
    }

    /**
     * Refuses a request with two {@code Authorization} headers; Spring's own resolver would use the
     * first.
     */
    @Bean
    @ConditionalOnMissingBean
    BearerTokenResolver signetBearerTokenResolver() {
        return request -> {
            try {
                return Bearer.token(Collections.list(request.getHeaders("Authorization")));
            } catch (MissingTokenException none) {
                return null;
            }
        };
    }

    @Bean
    @ConditionalOnMissingBean
    SignetAnswerWriter signetAnswerWriter() {
        return SignetAnswerWriter::writePlain;
    }

    @Bean
    Filter signetUnavailableFilter(SignetAnswerWriter writer) {
        return new UnavailableFilter(writer);
    }

    @Bean
    @ConditionalOnMissingBean
    SignetAnswers signetAnswers(SignetAnswerWriter writer) {
        return new SignetAnswers(writer);
    }

    /**
     * Like Spring Boot's chain, it requires a token for every request, but with Signet's responses.
     * No cookie authenticates requests, so CSRF protection is off, and a POST without a token gets
     * 401 instead of 403.
     */
    @Bean
    @ConditionalOnMissingBean(SecurityFilterChain.class)
    SecurityFilterChain signetSecurityFilterChain(HttpSecurity http, SignetAnswers answers) throws Exception {
        return http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
                .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .csrf(AbstractHttpConfigurer::disable)
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults())
                        .authenticationEntryPoint(answers)
                        .accessDeniedHandler(answers))
                .build();
    }
}

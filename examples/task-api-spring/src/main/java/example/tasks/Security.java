package example.tasks;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.signet.spring.SignetAnswerWriter;
import dev.signet.spring.SignetAnswers;
import dev.signet.spring.SignetExpressions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.authorization.AuthorizationDecision;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.cors.CorsConfigurationSource;
import org.springframework.web.cors.UrlBasedCorsConfigurationSource;

/** Authorization. Signet's starter verifies tokens, configured by two properties in application.properties. */
@Configuration
class Security {

    private static final Map<Integer, String> CODES =
            Map.of(401, "UNAUTHORIZED", 403, "FORBIDDEN", 503, "TEMPORARILY_UNAVAILABLE");

    /** A path with a user id is only accessible to that user. A client credentials token is rejected. */
    @Bean
    SecurityFilterChain chain(HttpSecurity http, SignetExpressions signet, SignetAnswers answers) throws Exception {
        return http.authorizeHttpRequests(requests -> requests
                        .requestMatchers("/health", "/error").permitAll()
                        .requestMatchers("/api/{user_id}/**")
                        .access((caller, request) -> new AuthorizationDecision(
                                signet.isUser(caller.get(), request.getVariables().get("user_id"))))
                        .anyRequest().authenticated())
                .cors(Customizer.withDefaults())
                .csrf(AbstractHttpConfigurer::disable) // the service uses no cookies
                .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults())
                        .authenticationEntryPoint(answers)
                        .accessDeniedHandler(answers))
                .build();
    }

    /** Writes rejections in this service's error format. */
    @Bean
    SignetAnswerWriter envelopes(ObjectMapper json) {
        return (request, response, answer) -> {
            response.setStatus(answer.status());
            answer.headers().forEach(response::setHeader);
            response.setContentType("application/json");
            Envelope body = Envelope.of(request, CODES.get(answer.status()), answer.description(), null);
            json.writeValue(response.getOutputStream(), body);
        };
    }

    /** Spring Security looks for a bean with this name. */
    @Bean
    CorsConfigurationSource corsConfigurationSource(@Value("${cors.origins}") String origins) {
        CorsConfiguration cors = new CorsConfiguration();
        cors.setAllowedOrigins(Arrays.asList(origins.split(",")));
        cors.setAllowedMethods(List.of("GET", "POST", "PUT", "PATCH", "DELETE"));
        cors.setAllowedHeaders(List.of("Authorization", "Content-Type"));
        UrlBasedCorsConfigurationSource everywhere = new UrlBasedCorsConfigurationSource();
        everywhere.registerCorsConfiguration("/**", cors);
        return everywhere;
    }
}

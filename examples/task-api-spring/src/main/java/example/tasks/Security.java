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

/** Who is calling: Signet's starter checks the tokens, by the two properties of application.properties. */
@Configuration
class Security {

    private static final Map<Integer, String> CODES =
            Map.of(401, "UNAUTHORIZED", 403, "FORBIDDEN", 503, "TEMPORARILY_UNAVAILABLE");

    /** A path that names a user is open to this user alone. A client's own token gets nowhere. */
    @Bean
    SecurityFilterChain chain(HttpSecurity http, SignetExpressions signet, SignetAnswers answers) throws Exception {
        return http.authorizeHttpRequests(requests -> requests
                        .requestMatchers("/health", "/error").permitAll()
                        .requestMatchers("/api/{user_id}/**")
                        .access((caller, request) -> new AuthorizationDecision(
                                signet.isUser(caller.get(), request.getVariables().get("user_id"))))
                        .anyRequest().authenticated())
                .cors(Customizer.withDefaults())
                .csrf(AbstractHttpConfigurer::disable) // no cookie is read
                .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults())
                        .authenticationEntryPoint(answers)
                        .accessDeniedHandler(answers))
                .build();
    }

    /** Has refusals use this service's envelope. */
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

    /** By this name Spring Security finds it. */
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

package example;

import static org.springframework.security.config.Customizer.withDefaults;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.DefaultOAuth2AuthorizationRequestResolver;
import org.springframework.security.oauth2.client.web.OAuth2AuthorizationRequestCustomizers;
import org.springframework.security.oauth2.client.web.OAuth2AuthorizationRequestResolver;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Tasks {

    public static void main(String[] arguments) {
        SpringApplication.run(Tasks.class, arguments);
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository clients)
            throws Exception {
        var logoutAtSignet = new OidcClientInitiatedLogoutSuccessHandler(clients);
        logoutAtSignet.setPostLogoutRedirectUri("{baseUrl}"); // Signet returns here after a logout
        http.authorizeHttpRequests(requests -> requests
                .requestMatchers("/").permitAll()
                .anyRequest().authenticated());
        http.oauth2Login(login -> login.authorizationEndpoint(
                endpoint -> endpoint.authorizationRequestResolver(withPkce(clients))));
        http.logout(logout -> logout.logoutSuccessHandler(logoutAtSignet));
        http.oidcLogout(logout -> logout.backChannel(withDefaults()));
        return http.build();
    }

    /** Signet requires PKCE, and Spring Boot 3.5 does not send it for a client with a secret. */
    private static OAuth2AuthorizationRequestResolver withPkce(
            ClientRegistrationRepository clients) {
        var resolver =
                new DefaultOAuth2AuthorizationRequestResolver(clients, "/oauth2/authorization");
        var pkce = OAuth2AuthorizationRequestCustomizers.withPkce();
        resolver.setAuthorizationRequestCustomizer(pkce);
        return resolver;
    }

    @GetMapping({"/", "/whoami"})
    String whoami(@AuthenticationPrincipal OidcUser user) {
        return user == null ? "nobody" : user.getSubject();
    }
}

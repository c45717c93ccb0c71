package example.tasks;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.config.annotation.method.configuration.EnableMethodSecurity;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationToken;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Responds with the caller's token data. There is no security bean: only application.properties
 * determines which tokens are accepted.
 */
@SpringBootApplication
@EnableMethodSecurity // without it, @PreAuthorize is ignored
@RestController
public class TasksApplication {

    public static void main(String[] arguments) {
        SpringApplication.run(TasksApplication.class, arguments);
    }

    /** Accessible with every valid token. */
    @GetMapping("/tasks")
    Map<String, Object> tasks(JwtAuthenticationToken caller) {
        List<String> authorities =
                caller.getAuthorities().stream().map(GrantedAuthority::getAuthority).toList();
        // Map.of does not accept null: an ID token, if it is accepted, has no scope.
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("subject", caller.getToken().getSubject());
        answer.put("scope", caller.getToken().getClaimAsString("scope"));
        answer.put("authorities", authorities);
        return answer;
    }

    /** Accessible with the scope tasks:write. */
    @PostMapping("/tasks")
    @PreAuthorize("hasAuthority('SCOPE_tasks:write')")
    void add() {}
}

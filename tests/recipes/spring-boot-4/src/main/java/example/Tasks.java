package example;

import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Tasks {

    public static void main(String[] arguments) {
        SpringApplication.run(Tasks.class, arguments);
    }

    /** Replaces Spring's check, which accepts typ JWT only. */
    @Bean
    JwtTypeValidator accessTokensOnly() {
        return new JwtTypeValidator(List.of("at+jwt"));
    }

    @GetMapping("/whoami")
    String whoami(@AuthenticationPrincipal Jwt caller) {
        return caller.getSubject();
    }
}

package example;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Tasks {

    public static void main(String[] arguments) {
        SpringApplication.run(Tasks.class, arguments);
    }

    @GetMapping("/whoami")
    String whoami(@AuthenticationPrincipal Jwt caller) {
        return caller.getSubject();
    }
}

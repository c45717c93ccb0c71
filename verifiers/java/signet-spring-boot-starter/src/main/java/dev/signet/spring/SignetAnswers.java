package dev.signet.spring;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.access.AccessDeniedHandler;

/**
 * Sends 401 and 403 responses with challenge and body in the format of Signet's verifiers in all
 * languages. It is used by default. A custom filter chain can use it with
 * {@code oauth2ResourceServer(server -> server.authenticationEntryPoint(answers).accessDeniedHandler(answers))}.
 */
public final class SignetAnswers implements AuthenticationEntryPoint, AccessDeniedHandler {

    private final SignetAnswerWriter writer;

    SignetAnswers(SignetAnswerWriter writer) {
        this.writer = writer;
    }

    @Override
    public void commence(HttpServletRequest request, HttpServletResponse response, AuthenticationException error)
            throws IOException {
        writer.write(request, response, Denials.of(error));
    }

    @Override
    public void handle(HttpServletRequest request, HttpServletResponse response, AccessDeniedException error)
            throws IOException {
        Authentication caller = SecurityContextHolder.getContext().getAuthentication();
        writer.write(request, response, Denials.of(error, caller));
    }
}

package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.access.AccessDeniedHandler;

/**
 * Answers 401 and 403 as Signet's verifiers do in every language: challenge and body. It is in use
 * unless the application has a chain of filters of its own, which takes it by
 * {@code oauth2ResourceServer(server -> server.authenticationEntryPoint(answers).accessDeniedHandler(answers))}.
 */
public final class SignetAnswers implements AuthenticationEntryPoint, AccessDeniedHandler {

    SignetAnswers() {}

    @Override
    public void commence(HttpServletRequest request, HttpServletResponse response, AuthenticationException error)
            throws IOException {
        write(response, Denials.of(error));
    }

    @Override
    public void handle(HttpServletRequest request, HttpServletResponse response, AccessDeniedException error)
            throws IOException {
        write(response, Denials.of(error, SecurityContextHolder.getContext().getAuthentication()));
    }

    static void write(HttpServletResponse response, ErrorAnswer answer) throws IOException {
        response.setStatus(answer.status());
        answer.headers().forEach(response::setHeader);
        response.setContentType("application/json");
        response.getOutputStream().write(answer.body().getBytes(StandardCharsets.US_ASCII));
    }
}

package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import dev.signet.verifier.VerifierUnavailableException;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.core.Ordered;
import org.springframework.security.authentication.AuthenticationServiceException;

/**
 * Responds with 503 if a token cannot be verified now. Spring Security throws an exception in this
 * case, whichever entry point is configured, and the container would respond with 500. So this
 * filter runs just before Spring Security.
 */
final class UnavailableFilter implements Filter, Ordered {

    /** Spring Security's order in Spring Boot is -100. */
    private static final int OUTSIDE_OF_SECURITY = -101;

    private final SignetAnswerWriter writer;

    UnavailableFilter(SignetAnswerWriter writer) {
        this.writer = writer;
    }

    @Override
    public int getOrder() {
        return OUTSIDE_OF_SECURITY;
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        try {
            chain.doFilter(request, response);
        } catch (AuthenticationServiceException error) {
            VerifierUnavailableException cause = SpringErrors.unavailableIn(error);
            if (cause == null || response.isCommitted()) {
                throw error;
            }
            writer.write((HttpServletRequest) request, (HttpServletResponse) response, ErrorAnswer.to(cause));
        }
    }
}

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
 * Answers 503 where a token cannot be judged. Spring Security throws then, whichever entry point an
 * application has, and the container would make it a 500; so this stands just outside of it.
 */
final class UnavailableFilter implements Filter, Ordered {

    /** Spring Boot has Spring Security at -100. */
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

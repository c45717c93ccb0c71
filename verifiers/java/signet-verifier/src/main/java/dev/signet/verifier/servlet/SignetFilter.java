package dev.signet.verifier.servlet;

import dev.signet.verifier.AccessToken;
import dev.signet.verifier.Bearer;
import dev.signet.verifier.ErrorAnswer;
import dev.signet.verifier.SignetException;
import dev.signet.verifier.SignetVerifier;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;

/**
 * Refuses requests without a valid token, and forwards all others. {@link #tokenOf} returns the
 * token to later filters and servlets. They may call {@link AccessToken#requireUser} and {@link
 * AccessToken#requireScope}: this filter also sends the response for a {@link SignetException} that
 * they throw.
 *
 * <p>Put a filter for CORS before this one: a preflight request has no token.
 */
public final class SignetFilter implements Filter {

    private static final String TOKEN = AccessToken.class.getName();

    private final SignetVerifier verifier;
    private final String[] scopes;

    /** Every request needs a token with all these scopes. */
    public SignetFilter(SignetVerifier verifier, String... scopes) {
        this.verifier = verifier;
        this.scopes = scopes.clone();
    }

    /**
     * The token of a request that this filter forwarded.
     *
     * @throws IllegalStateException for other requests, so that no path is unprotected by accident
     */
    public static AccessToken tokenOf(ServletRequest request) {
        if (request.getAttribute(TOKEN) instanceof AccessToken token) {
            return token;
        }
        throw new IllegalStateException("the request did not come through a SignetFilter");
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        HttpServletResponse answered = (HttpServletResponse) response;
        try {
            List<String> authorization = Collections.list(((HttpServletRequest) request).getHeaders("Authorization"));
            AccessToken token = verifier.verify(Bearer.token(authorization));
            token.requireScope(scopes);
            request.setAttribute(TOKEN, token);
            chain.doFilter(request, response);
        } catch (SignetException error) {
            refuse(answered, error, error);
        } catch (ServletException error) {
            refuse(answered, signetCause(error), error);
        }
    }

    /** Frameworks wrap the exceptions of their handlers. */
    private static SignetException signetCause(ServletException thrown) throws ServletException {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof SignetException error) {
                return error;
            }
        }
        throw thrown;
    }

    private static <E extends Exception> void refuse(HttpServletResponse response, SignetException error, E thrown)
            throws IOException, E {
        if (response.isCommitted()) {
            throw thrown;
        }
        response.resetBuffer(); // but not the headers, which may include those for CORS
        ErrorAnswer answer = ErrorAnswer.to(error);
        response.setStatus(answer.status());
        answer.headers().forEach(response::setHeader);
        response.setContentType("application/json");
        write(response, answer.body());
    }

    private static void write(HttpServletResponse response, String body) throws IOException {
        try {
            response.getOutputStream().write(body.getBytes(StandardCharsets.US_ASCII));
        } catch (IllegalStateException hasWriter) { // the servlet has already started to write a response
            response.getWriter().write(body);
        }
    }
}

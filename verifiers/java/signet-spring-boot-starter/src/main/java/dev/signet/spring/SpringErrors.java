package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import dev.signet.verifier.VerificationException;
import dev.signet.verifier.VerifierUnavailableException;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;

/** Converts between Signet's and Spring Security's exceptions. */
final class SpringErrors {

    private SpringErrors() {}

    /**
     * A {@link BadJwtException} becomes 401, any other {@link JwtException} an error of the
     * service. Spring sends the message to the caller, so it must not say which check failed.
     */
    static JwtException of(VerificationException error) {
        String message = ErrorAnswer.to(error).description();
        return error instanceof VerifierUnavailableException
                ? new JwtException(message, error)
                : new BadJwtException(message, error);
    }

    /** Returns the {@link VerifierUnavailableException} among the causes, or null. */
    static VerifierUnavailableException unavailableIn(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof VerifierUnavailableException error) {
                return error;
            }
        }
        return null;
    }
}

package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * Sends the response to a refused request. An application with a custom error format should define
 * a bean of this type that uses status and headers of the given answer.
 */
@FunctionalInterface
public interface SignetAnswerWriter {

    /** Sends the response. */
    void write(HttpServletRequest request, HttpServletResponse response, ErrorAnswer answer) throws IOException;

    /** Sends status, headers and body in the format of Signet's verifiers in all languages. */
    static void writePlain(HttpServletRequest request, HttpServletResponse response, ErrorAnswer answer)
            throws IOException {
        response.setStatus(answer.status());
        answer.headers().forEach(response::setHeader);
        response.setContentType("application/json");
        response.getOutputStream().write(answer.body().getBytes(StandardCharsets.US_ASCII));
    }
}

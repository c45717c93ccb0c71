package dev.signet.spring;

import dev.signet.verifier.ErrorAnswer;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * Writes the answer to a request that is not served. An application with an error format of its own
 * has a bean of this type, and takes status and headers from the answer.
 */
@FunctionalInterface
public interface SignetAnswerWriter {

    /** Sends it. */
    void write(HttpServletRequest request, HttpServletResponse response, ErrorAnswer answer) throws IOException;

    /** Status, headers and body as Signet's verifiers have them in every language. */
    static void writePlain(HttpServletRequest request, HttpServletResponse response, ErrorAnswer answer)
            throws IOException {
        response.setStatus(answer.status());
        answer.headers().forEach(response::setHeader);
        response.setContentType("application/json");
        response.getOutputStream().write(answer.body().getBytes(StandardCharsets.US_ASCII));
    }
}

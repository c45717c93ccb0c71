package example.tasks;

import jakarta.servlet.http.HttpServletRequest;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** {@code {"error": {code, message, details}, "meta": {timestamp, request_id}}}. */
record Envelope(Error error, Meta meta) {

    record Error(String code, String message, String details) {}

    record Meta(String timestamp, String requestId) {}

    static Envelope of(HttpServletRequest request, String code, String message, String details) {
        String timestamp = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        return new Envelope(new Error(code, message, details), new Meta(timestamp, RequestIds.of(request)));
    }
}

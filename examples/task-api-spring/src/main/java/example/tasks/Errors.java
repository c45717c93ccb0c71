package example.tasks;

import jakarta.servlet.http.HttpServletRequest;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;

/** Returns all errors, including those of the framework, in this service's error format. */
@RestControllerAdvice
class Errors extends ResponseEntityExceptionHandler {

    private static final Logger LOG = LoggerFactory.getLogger(Errors.class);

    private static final Map<Integer, String> CODES =
            Map.of(400, "VALIDATION_ERROR", 404, "NOT_FOUND", 405, "METHOD_NOT_ALLOWED");

    /** The message never repeats input. */
    @Override
    protected ResponseEntity<Object> handleExceptionInternal(
            Exception error, Object body, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        String code = CODES.getOrDefault(status.value(), "HTTP_ERROR");
        HttpStatus known = HttpStatus.resolve(status.value());
        String message = status.value() == 400 || known == null ? "The request is not valid" : known.getReasonPhrase();
        HttpServletRequest servletRequest = ((ServletWebRequest) request).getRequest();
        return new ResponseEntity<>(Envelope.of(servletRequest, code, message, null), headers, status);
    }

    /** Logs the stack trace. The caller only gets the request id. */
    @ExceptionHandler(Exception.class)
    ResponseEntity<Object> unexpected(Exception error, HttpServletRequest request) {
        LOG.error("request {} failed", RequestIds.of(request), error);
        Envelope body = Envelope.of(request, "INTERNAL_ERROR", "Something went wrong", null);
        return ResponseEntity.internalServerError().body(body);
    }
}

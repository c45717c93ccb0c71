package dev.signet.verifier;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscribers;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One GET, with limits on everything that the other side decides. */
record Fetcher(HttpClient client, Duration timeout) {

    private static final Pattern NOT_KEPT =
            Pattern.compile("(?:^|[,\\s])no-(?:cache|store)(?:$|[,\\s=])", Pattern.CASE_INSENSITIVE);
    private static final Pattern MAX_AGE =
            Pattern.compile("(?:^|[,\\s])max-age\\s*=\\s*\"?(\\d{1,18})", Pattern.CASE_INSENSITIVE);

    /** What may be sent back in If-None-Match; the client refuses to send anything else. */
    private static final Pattern ETAG = Pattern.compile("[!-~]{1,512}");

    /**
     * What came back.
     *
     * @param body null if what is held, if anything, is still good (304)
     * @param etag null if there is none
     * @param maxAgeSeconds {@code Cache-Control: max-age}; 0 if it is not to be kept at all
     */
    record Answer(byte[] body, String etag, OptionalLong maxAgeSeconds) {}

    /** Fetches at most {@code largest} bytes, all within the time-out. {@code etag} is that of what is held, or null. */
    Answer get(String url, String accept, int largest, String etag) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
                // What asks for HTTP/2 sends an Upgrade along, which not every proxy understands.
                .version(HttpClient.Version.HTTP_1_1)
                .timeout(timeout)
                .header("Accept", accept)
                .header("Accept-Encoding", "identity"); // what is not compressed cannot inflate
        if (etag != null) {
            request.header("If-None-Match", etag);
        }
        // The client's own time-out ends with the headers: a body may still trickle.
        CompletableFuture<HttpResponse<byte[]>> exchange = client.sendAsync(request.build(), atMost(largest));
        try {
            return answer(exchange.get(timeout.toNanos(), TimeUnit.NANOSECONDS));
        } catch (TimeoutException error) {
            throw new IOException("no answer within " + timeout.toMillis() + " ms");
        } catch (ExecutionException error) {
            throw new IOException(describe(error.getCause()), error.getCause());
        } finally {
            exchange.cancel(true);
        }
    }

    private static BodyHandler<byte[]> atMost(int largest) {
        return head -> head.statusCode() == 200 && isPlain(head.headers())
                ? new LimitedBody(largest)
                : BodySubscribers.replacing(new byte[0]);
    }

    private static boolean isPlain(HttpHeaders headers) {
        return String.join(",", headers.allValues("Content-Encoding")).matches("(?i)(identity)?");
    }

    private static Answer answer(HttpResponse<byte[]> response) throws IOException {
        HttpHeaders headers = response.headers();
        String etag = headers.firstValue("ETag").filter(ETAG.asMatchPredicate()).orElse(null);
        OptionalLong maxAge = maxAge(String.join(",", headers.allValues("Cache-Control")));
        if (response.statusCode() == 304) {
            return new Answer(null, etag, maxAge);
        }
        if (response.statusCode() != 200) {
            throw new IOException("status " + response.statusCode());
        }
        if (!isPlain(headers)) {
            throw new IOException("compressed, although that was not asked for");
        }
        return new Answer(response.body(), etag, maxAge);
    }

    private static OptionalLong maxAge(String cacheControl) {
        if (NOT_KEPT.matcher(cacheControl).find()) {
            return OptionalLong.of(0);
        }
        Matcher found = MAX_AGE.matcher(cacheControl);
        return found.find() ? OptionalLong.of(Long.parseLong(found.group(1))) : OptionalLong.empty();
    }

    /** Many of the client's exceptions have no message. */
    private static String describe(Throwable error) {
        String name = error.getClass().getSimpleName();
        return error.getMessage() == null ? name : name + ": " + error.getMessage();
    }
}

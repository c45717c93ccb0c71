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

/** A GET request, with limits on size and time. */
record Fetcher(HttpClient client, Duration timeout) {

    private static final Pattern NOT_CACHEABLE =
            Pattern.compile("(?:^|[,\\s])no-(?:cache|store)(?:$|[,\\s=])", Pattern.CASE_INSENSITIVE);
    private static final Pattern MAX_AGE =
            Pattern.compile("(?:^|[,\\s])max-age\\s*=\\s*\"?(\\d{1,18})", Pattern.CASE_INSENSITIVE);

    /** ETags that may be sent in If-None-Match; the client refuses to send others. */
    private static final Pattern ETAG = Pattern.compile("[!-~]{1,512}");

    /**
     * A usable response.
     *
     * @param body null if the cached copy is still valid (304)
     * @param etag null if there is none
     * @param maxAgeSeconds {@code Cache-Control: max-age}; 0 if the response must not be cached
     */
    record Answer(byte[] body, String etag, OptionalLong maxAgeSeconds) {}

    /**
     * Fetches at most {@code largest} bytes within the timeout. {@code etag} is that of the cached
     * copy, or null.
     */
    Answer get(String url, String accept, int largest, String etag) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
                // A request for HTTP/2 would contain an Upgrade header, which some proxies do not
                // support.
                .version(HttpClient.Version.HTTP_1_1)
                .timeout(timeout)
                .header("Accept", accept)
                .header("Accept-Encoding", "identity"); // excludes decompression bombs
        if (etag != null) {
            request.header("If-None-Match", etag);
        }
        // The client's own timeout does not cover the body.
        CompletableFuture<HttpResponse<byte[]>> exchange = client.sendAsync(request.build(), atMost(largest));
        try {
            return answer(exchange.get(timeout.toNanos(), TimeUnit.NANOSECONDS));
        } catch (TimeoutException error) {
            throw new IOException("no response within " + timeout.toMillis() + " ms");
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
            throw new IOException("compressed, although not requested");
        }
        return new Answer(response.body(), etag, maxAge);
    }

    private static OptionalLong maxAge(String cacheControl) {
        if (NOT_CACHEABLE.matcher(cacheControl).find()) {
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

package dev.signet.verifier;

import java.lang.System.Logger.Level;
import java.net.URI;
import java.net.http.HttpClient;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * Checks access tokens of one issuer for one service. Any number of threads may use it.
 *
 * <p>Create one when the service starts: it caches the keys and the status lists. It fetches
 * nothing before the first token arrives, and need not be closed. No check can be turned off.
 *
 * <pre>{@code
 * SignetVerifier verifier = SignetVerifier.builder()
 *         .issuer("https://id.example")
 *         .audience("https://tasks.example")
 *         .build();
 * AccessToken token = verifier.verify(bearer);
 * }</pre>
 */
public final class SignetVerifier {

    /** The name of the logger: refusals at {@code INFO}, failed fetches at {@code WARNING}. */
    public static final String LOGGER = "dev.signet.verifier";

    /** How to treat a token whose status list is unavailable. */
    public enum WhenStatusUnavailable {
        /**
         * Refuses it with {@link RefusalCode#STATUS_UNAVAILABLE}, because it may have been revoked.
         */
        REFUSE,
        /** Accepts it: a logout may not take effect while Signet is unreachable. */
        ACCEPT
    }

    private static final System.Logger LOG = System.getLogger(LOGGER);

    /** In bytes; Signet's tokens have about one thousand. */
    private static final int LONGEST_TOKEN = 8 * 1024;

    private static final String ACCESS_TOKEN_TYPE = "at+jwt";

    /** The type of any JWT (RFC 7519 section 5.1), including ID tokens. */
    private static final String JWT_TYPE = "jwt";

    private final Rules rules;
    private final List<String> types;
    private final boolean acceptsWithoutStatus;
    private final InstantSource clock;
    private final KeySource keys;
    private final StatusSource statuses;

    private SignetVerifier(Builder settings) {
        String issuer = settings.issuer;
        rules = new Rules(issuer, settings.audiences, settings.leeway);
        types = settings.acceptsTypJwt ? List.of(ACCESS_TOKEN_TYPE, JWT_TYPE) : List.of(ACCESS_TOKEN_TYPE);
        acceptsWithoutStatus = settings.whenStatusUnavailable == WhenStatusUnavailable.ACCEPT;
        clock = settings.clock;
        HttpClient client = settings.httpClient != null ? settings.httpClient : HttpClient.newHttpClient();
        Fetcher fetcher = new Fetcher(client, settings.timeout);
        String baseUrl = settings.baseUrl == null ? issuer : settings.baseUrl;
        String url = baseUrl.endsWith("/") ? baseUrl.substring(0, baseUrl.length() - 1) : baseUrl;
        keys = new KeySource(url, fetcher, settings.cooldown, settings.nanoTime);
        statuses = new StatusSource(url, fetcher, keys, rules, clock, settings.nanoTime);
    }

    /** Returns a builder; issuer and audience must be set. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Checks a token: its syntax, its header, its signature, its claims, and its status, in this
     * order. Waits at most a few seconds if a document must be fetched first.
     *
     * @throws TokenRefusedException if it is invalid: respond with 401
     * @throws VerifierUnavailableException if it cannot be verified now: respond with 503
     */
    public AccessToken verify(String token) {
        RefusalCode unavailableCode = RefusalCode.KEYS_UNAVAILABLE;
        try {
            ParsedToken parsed = parse(token);
            VerifiedToken verified = check(parsed, Futures.await(keys.find(parsed.jws().kid())));
            unavailableCode = RefusalCode.STATUS_UNAVAILABLE;
            if (verified.status() != null) {
                checkStatus(verified.status(), Futures.await(statuses.find(verified.status().uri())));
            }
            return verified.token();
        } catch (VerificationException error) {
            throw logged(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw logged(new VerifierUnavailableException(unavailableCode, error));
        }
    }

    /**
     * Like {@link #verify}, without blocking, for services whose threads must not block. The future
     * is complete at once if nothing must be fetched. It fails with the exceptions of {@code
     * verify}.
     */
    public CompletableFuture<AccessToken> verifyAsync(String token) {
        CompletableFuture<AccessToken> verified;
        try {
            ParsedToken parsed = parse(token);
            verified = then(keys.find(parsed.jws().kid()), key -> {
                VerifiedToken checked = check(parsed, key);
                if (checked.status() == null) {
                    return CompletableFuture.completedFuture(checked.token());
                }
                return statuses.find(checked.status().uri()).thenApply(list -> {
                    checkStatus(checked.status(), list);
                    return checked.token();
                });
            });
        } catch (VerificationException error) {
            verified = CompletableFuture.failedFuture(error);
        }
        // A dependent stage fails with a CompletionException; callers need its cause.
        CompletableFuture<AccessToken> result = new CompletableFuture<>();
        verified.whenComplete((accepted, error) -> {
            if (error == null) {
                result.complete(accepted);
            } else {
                Throwable cause = error instanceof CompletionException ? error.getCause() : error;
                result.completeExceptionally(cause instanceof VerificationException refusal ? logged(refusal) : cause);
            }
        });
        return result;
    }

    /**
     * Checks only the status of a token that was verified by other means. Waits if the list must be
     * fetched first.
     *
     * @param uri {@code status.status_list.uri}, a URL of the issuer
     * @param index {@code status.status_list.idx}
     * @throws TokenRefusedException if the session has ended, or there is no such status: respond
     * with 401
     * @throws VerifierUnavailableException if it cannot be verified now: respond with 503
     */
    public void checkStatus(String uri, long index) {
        try {
            Claims.StatusReference reference = Claims.reference(uri, index, rules.issuer());
            checkStatus(reference, Futures.await(statuses.find(reference.uri())));
        } catch (VerificationException error) {
            throw logged(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw logged(new VerifierUnavailableException(RefusalCode.STATUS_UNAVAILABLE, error));
        }
    }

    /**
     * Continues in this thread if {@code first} is complete, and never in the thread of a fetch.
     */
    private static <T, R> CompletableFuture<R> then(
            CompletableFuture<T> first, Function<T, CompletableFuture<R>> next) {
        return first.isDone() ? first.thenCompose(next) : first.thenComposeAsync(next);
    }

    /** A well-formed token whose signature is not verified yet. */
    private record ParsedToken(Jws jws, String type) {}

    /** A token that is valid unless its status says otherwise. */
    private record VerifiedToken(AccessToken token, Claims.StatusReference status) {}

    private ParsedToken parse(String token) {
        Jws jws = Jws.parse(token, LONGEST_TOKEN);
        return new ParsedToken(jws, jws.checkHeader(types));
    }

    private VerifiedToken check(ParsedToken parsed, PublicKey key) {
        key.check(parsed.jws());
        if (parsed.type().equals(JWT_TYPE)) {
            Claims.checkNoIdToken(parsed.jws().payload());
        }
        AccessToken token = Claims.check(parsed.jws().payload(), rules, clock.instant());
        return new VerifiedToken(token, Claims.status(parsed.jws().payload(), rules.issuer()));
    }

    private void checkStatus(Claims.StatusReference reference, StatusList list) {
        if (list == null) {
            if (acceptsWithoutStatus) {
                return;
            }
            throw new VerifierUnavailableException(RefusalCode.STATUS_UNAVAILABLE, null);
        }
        OptionalInt status = list.status(reference.index());
        if (status.isEmpty()) {
            throw TokenRefusedException.invalidClaim("status");
        }
        switch (status.getAsInt()) {
            case 0 -> {}
            case 2 -> throw new TokenRefusedException(RefusalCode.SUSPENDED);
            default -> throw new TokenRefusedException(RefusalCode.REVOKED);
        }
    }

    private static VerificationException logged(VerificationException error) {
        LOG.log(Level.INFO, () -> "token not accepted: " + error.getMessage());
        return error;
    }

    /** The settings; all except issuer and audience have a default. */
    public static final class Builder {

        private static final Duration LONGEST_LEEWAY = Duration.ofSeconds(60);

        private String issuer;
        private Set<String> audiences = Set.of();
        private String baseUrl;
        private boolean acceptsTypJwt;
        private Duration leeway = Duration.ofSeconds(30);
        private Duration cooldown = Duration.ofSeconds(30);
        private WhenStatusUnavailable whenStatusUnavailable = WhenStatusUnavailable.REFUSE;
        private Duration timeout = Duration.ofSeconds(3);
        private HttpClient httpClient;
        private InstantSource clock = InstantSource.system();
        private LongSupplier nanoTime = System::nanoTime;

        private Builder() {}

        /** Signet's {@code SIGNET_ISSUER}, byte for byte, including a trailing slash. */
        public Builder issuer(String issuer) {
            this.issuer = issuer;
            return this;
        }

        /** The {@code aud} that a token must contain: this service. */
        public Builder audience(String audience) {
            return audiences(audience == null ? Set.of() : Set.of(audience));
        }

        /**
         * Like {@link #audience}, for a service with several names: a token must have one of them.
         */
        public Builder audiences(Collection<String> audiences) {
            this.audiences = Set.copyOf(audiences);
            return this;
        }

        /**
         * The URL at which Signet is reachable, if it differs from the issuer, as inside a cluster.
         */
        public Builder baseUrl(String baseUrl) {
            this.baseUrl = baseUrl;
            return this;
        }

        /**
         * Also accepts tokens with {@code typ} {@code JWT}, not only {@code at+jwt} (RFC 9068
         * section 4), for an audience in {@code SIGNET_TYP_JWT_AUDIENCES}. ID tokens have the same
         * {@code typ}, so these tokens must have {@code client_id}, {@code jti} and {@code scope},
         * and neither {@code nonce} nor {@code at_hash}.
         */
        public Builder acceptTypJwt(boolean accept) {
            acceptsTypJwt = accept;
            return this;
        }

        /** Accepted difference between the clocks: 30 s by default, at most 60 s. */
        public Builder leeway(Duration leeway) {
            this.leeway = leeway;
            return this;
        }

        /**
         * Minimum time from any fetch of the key set to a fetch for an unknown key: 30 s by
         * default.
         */
        public Builder cooldown(Duration cooldown) {
            this.cooldown = cooldown;
            return this;
        }

        /** How to treat a token whose status list is unavailable: refused by default. */
        public Builder whenStatusUnavailable(WhenStatusUnavailable then) {
            whenStatusUnavailable = then;
            return this;
        }

        /** Timeout of a fetch: 3 s by default. */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /**
         * A client, for example with your proxies or certificates. It must not follow redirects.
         */
        public Builder httpClient(HttpClient client) {
            httpClient = client;
            return this;
        }

        /** Replaces the clock for the times in tokens, for tests: a {@link java.time.Clock} fits. */
        public Builder clock(InstantSource clock) {
            this.clock = clock;
            return this;
        }

        /** The monotonic clock for cache ages in nanoseconds, for tests. */
        public Builder nanoTime(LongSupplier nanoTime) {
            this.nanoTime = nanoTime;
            return this;
        }

        /**
         * Creates a verifier. It fetches nothing.
         *
         * @throws IllegalArgumentException if a setting is invalid
         */
        public SignetVerifier build() {
            require(issuer != null && !issuer.isEmpty(), "issuer must be set");
            require(!audiences.isEmpty() && !audiences.contains(""), "audience must be set");
            requireHttpUrl(baseUrl == null ? "issuer" : "baseUrl", baseUrl == null ? issuer : baseUrl);
            require(leeway != null && !leeway.isNegative() && leeway.compareTo(LONGEST_LEEWAY) <= 0,
                    "leeway must be from 0 to 60 s");
            require(cooldown != null && !cooldown.isNegative(), "cooldown must not be negative");
            require(timeout != null && !timeout.isNegative() && !timeout.isZero(), "timeout must be above 0");
            require(whenStatusUnavailable != null, "whenStatusUnavailable must be REFUSE or ACCEPT");
            require(httpClient == null || httpClient.followRedirects() == HttpClient.Redirect.NEVER,
                    "httpClient must not follow redirects");
            Objects.requireNonNull(clock, "clock");
            Objects.requireNonNull(nanoTime, "nanoTime");
            return new SignetVerifier(this);
        }

        private static void requireHttpUrl(String name, String url) {
            URI uri;
            try {
                uri = URI.create(url);
            } catch (IllegalArgumentException error) { // its message contains the URL
                throw new IllegalArgumentException(name + " is not a URL");
            }
            // The URL is logged with each failed fetch.
            require(uri.getRawUserInfo() == null, name + " must have no user name and no password");
            boolean isHttp = "http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme());
            // java.net.URI finds no host in a name with an underscore, and the client then sends no
            // request.
            require(isHttp && uri.getHost() != null, name + " is not an http or https URL: " + url);
        }

        private static void require(boolean holds, String message) {
            if (!holds) {
                throw new IllegalArgumentException(message);
            }
        }
    }
}

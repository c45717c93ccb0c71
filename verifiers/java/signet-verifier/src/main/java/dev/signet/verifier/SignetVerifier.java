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
 * Checks access tokens of one issuer for one audience, by any number of threads.
 *
 * <p>Make one when the service starts and keep it: it holds the keys and the status lists. It fetches
 * nothing before the first token comes, and there is nothing to close. No check can be turned off.
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

    /** The name of the logger: refusals at {@code INFO}, fetches that failed at {@code WARNING}. */
    public static final String LOGGER = "dev.signet.verifier";

    /** What becomes of a token whose status list cannot be had. */
    public enum WhenStatusUnavailable {
        /** {@link RefusalCode#STATUS_UNAVAILABLE}: nobody gets in with a token that may have been revoked. */
        REFUSE,
        /** The token counts as valid: a logout may not reach you while Signet cannot be reached. */
        ACCEPT
    }

    private static final System.Logger LOG = System.getLogger(LOGGER);

    /** In bytes; Signet's have about one thousand. */
    private static final int LONGEST_TOKEN = 8 * 1024;

    private static final String ACCESS_TOKEN_TYPE = "at+jwt";

    /** Of any JWT (RFC 7519 section 5.1), ID tokens among them. */
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

    /** Issuer and audience have to be set. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Checks a token, in the order that trusts least: its shape, its header, its signature, its
     * claims, its status. Waits if something has to be fetched first, at most a few seconds.
     *
     * @throws TokenRefusedException if it proves nothing: answer 401
     * @throws VerifierUnavailableException if nothing can be said about it: answer 503
     */
    public AccessToken verify(String token) {
        RefusalCode lacking = RefusalCode.KEYS_UNAVAILABLE;
        try {
            Shaped shaped = shape(token);
            Checked checked = check(shaped, Waiting.on(keys.find(shaped.jws().kid())));
            lacking = RefusalCode.STATUS_UNAVAILABLE;
            if (checked.status() != null) {
                checkStatus(checked.status(), Waiting.on(statuses.find(checked.status().uri())));
            }
            return checked.token();
        } catch (VerificationException error) {
            throw logged(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw logged(new VerifierUnavailableException(lacking, error));
        }
    }

    /**
     * As {@link #verify}, without waiting: for services whose threads may not. The future is done at
     * once if nothing has to be fetched; it fails with what {@code verify} throws.
     */
    public CompletableFuture<AccessToken> verifyAsync(String token) {
        CompletableFuture<AccessToken> verified;
        try {
            Shaped shaped = shape(token);
            verified = then(keys.find(shaped.jws().kid()), key -> {
                Checked checked = check(shaped, key);
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
        // A future of a dependent stage fails with a CompletionException around it; callers want the cause.
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
     * Checks the status alone, for a token that was checked by other means: where its claim
     * {@code status} refers to. Waits if the list has to be fetched first.
     *
     * @param uri {@code status.status_list.uri}, one of the issuer's addresses
     * @param index {@code status.status_list.idx}
     * @throws TokenRefusedException if the session has ended, or there is no such status: answer 401
     * @throws VerifierUnavailableException if nothing can be said about it: answer 503
     */
    public void checkStatus(String uri, long index) {
        try {
            Claims.StatusReference reference = Claims.reference(uri, index, rules.issuer());
            checkStatus(reference, Waiting.on(statuses.find(reference.uri())));
        } catch (VerificationException error) {
            throw logged(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw logged(new VerifierUnavailableException(RefusalCode.STATUS_UNAVAILABLE, error));
        }
    }

    /** Goes on in this thread if there is nothing to wait for, and never in the thread of a fetch. */
    private static <T, R> CompletableFuture<R> then(CompletableFuture<T> first, Function<T, CompletableFuture<R>> next) {
        return first.isDone() ? first.thenCompose(next) : first.thenComposeAsync(next);
    }

    /** A token that may be looked up a key for. */
    private record Shaped(Jws jws, String type) {}

    /** A token that is good unless its status says otherwise. */
    private record Checked(AccessToken token, Claims.StatusReference status) {}

    private Shaped shape(String token) {
        Jws jws = Jws.parse(token, LONGEST_TOKEN);
        return new Shaped(jws, jws.checkHeader(types));
    }

    private Checked check(Shaped shaped, PublicKey key) {
        key.check(shaped.jws());
        if (shaped.type().equals(JWT_TYPE)) {
            Claims.checkNoIdToken(shaped.jws().payload());
        }
        AccessToken token = Claims.check(shaped.jws().payload(), rules, clock.instant());
        return new Checked(token, Claims.status(shaped.jws().payload(), rules.issuer()));
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

    /** The settings; all but issuer and audience have a default. */
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

        /** Signet's {@code SIGNET_ISSUER}, byte for byte: mind a final slash. */
        public Builder issuer(String issuer) {
            this.issuer = issuer;
            return this;
        }

        /** The {@code aud} that a token must name: this service, not just any. */
        public Builder audience(String audience) {
            return audiences(audience == null ? Set.of() : Set.of(audience));
        }

        /** As {@link #audience}, for a service of several names: a token must have one of them. */
        public Builder audiences(Collection<String> audiences) {
            this.audiences = Set.copyOf(audiences);
            return this;
        }

        /** Where Signet is reached if not at the issuer, such as under another name inside a cluster. */
        public Builder baseUrl(String baseUrl) {
            this.baseUrl = baseUrl;
            return this;
        }

        /**
         * Accepts tokens with {@code typ} {@code JWT} too, not just {@code at+jwt} (RFC 9068 section
         * 4): for an audience that Signet was told to sign such tokens for
         * ({@code SIGNET_TYP_JWT_AUDIENCES}). ID tokens have the same {@code typ}, so
         * {@code client_id}, {@code jti} and {@code scope} must be there then, and neither
         * {@code nonce} nor {@code at_hash}.
         */
        public Builder acceptTypJwt(boolean accept) {
            acceptsTypJwt = accept;
            return this;
        }

        /** By how much the clocks may differ: 30 s unless set, at most 60 s. */
        public Builder leeway(Duration leeway) {
            this.leeway = leeway;
            return this;
        }

        /** Least time between two fetches of the key set for unknown keys: 30 s unless set. */
        public Builder cooldown(Duration cooldown) {
            this.cooldown = cooldown;
            return this;
        }

        /** What becomes of a token whose status list cannot be had: refused unless set. */
        public Builder whenStatusUnavailable(WhenStatusUnavailable then) {
            whenStatusUnavailable = then;
            return this;
        }

        /** After how long a fetch is given up: 3 s unless set. */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /** With your proxies or certificates. It must not follow redirects, as it does not by itself. */
        public Builder httpClient(HttpClient client) {
            httpClient = client;
            return this;
        }

        /** What time it is, for tests. A {@link java.time.Clock} is one. */
        public Builder clock(InstantSource clock) {
            this.clock = clock;
            return this;
        }

        /** What ages are measured by, for tests: nanoseconds since any moment, never set back. */
        public Builder nanoTime(LongSupplier nanoTime) {
            this.nanoTime = nanoTime;
            return this;
        }

        /**
         * Fetches nothing.
         *
         * @throws IllegalArgumentException at a setting that cannot be meant
         */
        public SignetVerifier build() {
            require(issuer != null && !issuer.isEmpty(), "issuer must be set");
            require(!audiences.isEmpty() && !audiences.contains(""), "audience must be set");
            requireAddress(baseUrl == null ? "issuer" : "baseUrl", baseUrl == null ? issuer : baseUrl);
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

        private static void requireAddress(String name, String address) {
            URI uri;
            try {
                uri = URI.create(address);
            } catch (IllegalArgumentException error) { // its message has all of the address
                throw new IllegalArgumentException(name + " is no address");
            }
            // It would end up in the log with each fetch that fails.
            require(uri.getRawUserInfo() == null, name + " must have no user name and no password");
            boolean isHttp = "http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme());
            // java.net.URI sees no host in a name with an underscore, and the client then asks nobody.
            require(isHttp && uri.getHost() != null, name + " is no http or https address: " + address);
        }

        private static void require(boolean holds, String message) {
            if (!holds) {
                throw new IllegalArgumentException(message);
            }
        }
    }
}

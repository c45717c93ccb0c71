package dev.signet.verifier;

import static dev.signet.verifier.FakeSignet.ISSUER;
import static dev.signet.verifier.FakeSignet.KEYS_URL;
import static dev.signet.verifier.FakeSignet.LIST_URL;
import static dev.signet.verifier.FakeSignet.SECOND_KEY;
import static dev.signet.verifier.FakeSignet.START;
import static dev.signet.verifier.Outcome.ACCEPTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Fetching and caching of the key set. */
@Timeout(60)
class KeyCachingTest {

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();

    @Test
    void nothingIsFetchedAtTheStart() {
        assertEquals(0, signet.requests.size());
    }

    @Test
    void hundredConcurrentTokensCauseOneFetchPerDocument() {
        String token = signet.token();

        List<CompletableFuture<String>> outcomes =
                IntStream.range(0, 100).mapToObj(number -> verifyInThread(token)).toList();

        outcomes.forEach(outcome -> assertEquals(ACCEPTED, outcome.join()));
        assertEquals(1, signet.fetches(KEYS_URL));
        assertEquals(1, signet.fetches(LIST_URL));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            nullValues = "none",
            value = {
                "none|300",
                "no-cache|1",
                "no-store|1",
                "private,No-Store, max-age=120|1",
                "max-age=120, no-cache=\"Set-Cookie\"|1",
                "no-cached, x-no-store|300",
                "s-maxage=7|300",
                "max-age=many|300",
                "max-age=0|1",
                "MAX-AGE=20|20",
                "private,max-age=20|20",
                "max-age=99999999999999999999999|86400",
            })
    void maxAgeIsBoundedAndHasADefault(String cacheControl, long lifetime) {
        signet.cacheControl = cacheControl;
        Map<String, Object> own = new HashMap<>(FakeSignet.without("status", "user_id"));
        own.put("exp", START + 100_000);
        String token = signet.token(own);
        verifier.verify(token);

        signet.advance(lifetime - 0.5);
        verifier.verify(token);
        assertEquals(1, signet.fetches(KEYS_URL));
        signet.advance(0.5);
        verifier.verify(token);

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void rotationRefusesNoValidToken() {
        verifier.verify(signet.clientToken());
        signet.keys.put("second", SECOND_KEY); // published long before it signs
        signet.advance(300);
        assertEquals(ACCEPTED, outcome(signet.clientToken()));
        assertEquals(ACCEPTED, outcome(signet.clientToken("second")));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void withdrawnKeyIsRefusedAfterTheNextFetch() {
        String token = signet.clientToken();
        assertEquals(ACCEPTED, outcome(token));

        signet.keys.clear();
        signet.keys.put("second", SECOND_KEY);
        signet.advance(300);

        assertEquals("unknown_key", outcome(token));
        assertEquals(ACCEPTED, outcome(signet.clientToken("second")));
    }

    @Test
    void notModifiedRenewsTheCachedKeySet() {
        String token = signet.clientToken();
        verifier.verify(token);
        for (double seconds : new double[] {300, 300, 299}) {
            signet.advance(seconds);
            verifier.verify(token);
        }

        assertEquals(List.of(200, 304, 304), signet.httpStatuses);
    }

    @Test
    void thousandUnknownKidsCauseOneFetchPerCoolDown() {
        verifier.verify(signet.clientToken());
        signet.advance(30);
        List<CompletableFuture<String>> outcomes =
                Stream.generate(() -> verifyInThread(tokenWithUnknownKey())).limit(500).toList();
        Set<String> seen = outcomes.stream().map(CompletableFuture::join).collect(Collectors.toSet());
        for (int number = 0; number < 500; number++) {
            signet.advance(29 / 500.0);
            seen.add(outcome(tokenWithUnknownKey()));
        }

        assertEquals(Set.of("unknown_key"), seen);
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void newKeyIsFoundAfterTheCoolDown() {
        verifier.verify(signet.clientToken());
        signet.keys.put("second", SECOND_KEY);
        String token = signet.clientToken("second");

        signet.advance(29);
        assertEquals("unknown_key", outcome(token));
        signet.advance(1);

        assertEquals(ACCEPTED, outcome(token));
    }

    @Test
    void validTokensDoNotWaitForTheFetchOfAnUnknownKey() {
        String good = signet.clientToken();
        verifier.verify(good);
        signet.advance(30);
        signet.gate = new CompletableFuture<>();
        List<CompletableFuture<String>> strangers =
                Stream.generate(() -> verifyInThread(tokenWithUnknownKey())).limit(50).toList();

        for (int number = 0; number < 100; number++) {
            assertEquals(ACCEPTED, assertReturnsWithin(100, good));
        }

        assertTrue(strangers.stream().noneMatch(CompletableFuture::isDone));
        signet.gate.complete(null);
        strangers.forEach(stranger -> assertEquals("unknown_key", stranger.join()));
    }

    @Test
    void coolDownAppliesToUnknownKidsWhileSignetIsUnreachable() {
        verifier.verify(signet.clientToken());
        signet.isUp = false;
        for (int second = 0; second < 29; second++) {
            signet.advance(1);
            assertEquals("unknown_key", outcome(tokenWithUnknownKey()));
        }
        assertEquals(1, signet.fetches(KEYS_URL));
        signet.advance(1);
        assertEquals("unknown_key", outcome(tokenWithUnknownKey()));

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void staleKeysAreUsedAndRefetchedAfterEachPause() {
        Map<String, Object> own = new HashMap<>(FakeSignet.without("status", "user_id"));
        own.put("exp", START + 10_000_000);
        String token = signet.token(own);
        verifier.verify(token);
        signet.isUp = false;

        signet.advance(1_000_000);
        for (int number = 0; number < 10; number++) {
            assertEquals(ACCEPTED, outcome(token));
        }
        assertEquals(2, signet.fetches(KEYS_URL));
        signet.advance(4.9);
        verifier.verify(token);
        assertEquals(2, signet.fetches(KEYS_URL));
        signet.advance(0.1);
        verifier.verify(token);

        assertEquals(3, signet.fetches(KEYS_URL));
    }

    @Test
    void withoutKeysFetchesAreRetriedEachSecond() {
        signet.isUp = false;
        String token = signet.clientToken();
        for (int number = 0; number < 5; number++) {
            assertEquals("keys_unavailable", outcome(token));
        }
        assertEquals(1, signet.fetches(KEYS_URL));

        signet.advance(1);
        assertEquals("keys_unavailable", outcome(token));
        assertEquals(2, signet.fetches(KEYS_URL));
        signet.isUp = true;
        signet.advance(1);

        assertEquals(ACCEPTED, outcome(token));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{}", "{\"keys\":{}}", "<html>", "\u00ff", "{\"keys\":[],\"keys\":[]}"})
    void invalidKeySetDoesNotReplaceTheCachedOne(String document) {
        String token = signet.clientToken();
        verifier.verify(token);
        signet.advance(300);
        signet.answers.put(KEYS_URL, FakeSignet.reply(200, document));

        assertEquals(ACCEPTED, outcome(token));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void clockSetBackDoesNotChangeTheCacheAge() {
        String token = signet.clientToken();
        verifier.verify(token);

        signet.advanceMonotonicClock(300);
        verifier.verify(token);

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void cacheAgeCountsFromTheStartOfTheFetch() throws InterruptedException {
        String token = signet.token();
        verifier.verify(token);
        signet.advance(300);
        signet.gate = new CompletableFuture<>();
        CompletableFuture<String> waiter = verifyInThread(token);
        waitForFetches(KEYS_URL, 2);
        signet.advance(2);
        signet.gate.complete(null);
        assertEquals(ACCEPTED, waiter.join());

        signet.advance(297);
        outcome(token);
        assertEquals(2, signet.fetches(KEYS_URL));
        signet.advance(1);
        outcome(token);

        assertEquals(3, signet.fetches(KEYS_URL), "the cache age counts from the request");
    }

    @Test
    void refreshOfUsableKeysDelaysRequestsOnlyBriefly() throws InterruptedException {
        String token = signet.clientToken();
        verifier.verify(token);
        signet.keys.clear();
        signet.keys.put("second", SECOND_KEY);
        signet.advance(300);
        signet.gate = new CompletableFuture<>();

        assertEquals(ACCEPTED, assertReturnsWithin(2000, token));
        for (int number = 0; number < 20; number++) {
            assertEquals(ACCEPTED, assertReturnsWithin(300, token), "the maximum wait is already over");
        }
        CompletableFuture<String> waiter = verifyInThread(signet.clientToken("second"));
        Thread.sleep(50);
        assertFalse(waiter.isDone(), "a request with an uncached key waits for the fetch");
        signet.gate.complete(null);

        assertEquals(ACCEPTED, waiter.join());
        assertEquals("unknown_key", outcome(token));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void interruptedThreadDoesNotCancelOthers() throws InterruptedException {
        signet.gate = new CompletableFuture<>();
        String token = signet.clientToken();
        List<String> codes = new ArrayList<>();
        Thread first = new Thread(() -> codes.add(outcome(token) + " " + Thread.currentThread().isInterrupted()));
        first.start(); // starts the fetch
        waitForFetches(KEYS_URL, 1);
        CompletableFuture<String> second = verifyInThread(token);

        first.interrupt();
        first.join();
        signet.gate.complete(null);

        assertEquals(List.of("keys_unavailable true"), codes);
        assertEquals(ACCEPTED, second.join());
        assertEquals(1, signet.fetches(KEYS_URL));
    }

    @Test
    void retryPauseStartsWhenAFetchTimesOut() throws InterruptedException {
        SignetVerifier hasty = signet.builder().timeout(Duration.ofMillis(200)).build();
        signet.gate = new CompletableFuture<>();
        String token = signet.clientToken();
        CompletableFuture<String> attempt = CompletableFuture.supplyAsync(() -> Outcome.of(hasty, token));
        waitForFetches(KEYS_URL, 1);
        signet.advance(3);
        assertEquals("keys_unavailable", attempt.join());

        assertEquals("keys_unavailable", Outcome.of(hasty, token));
        assertEquals(1, signet.fetches(KEYS_URL));
        signet.advance(1);
        assertEquals("keys_unavailable", Outcome.of(hasty, token));

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/"})
    void baseUrlIsFetchedInsteadOfTheIssuer(String end) {
        String inside = "http://signet.internal:8080/id";
        signet.answers.put(inside + "/.well-known/jwks.json", FakeSignet.reply(200, signet.jwks()));
        signet.answers.put(inside + "/status/1", FakeSignet.reply(200, signet.listToken()));

        SignetVerifier inCluster = signet.builder().baseUrl(inside + end).build();

        assertEquals(ACCEPTED, Outcome.of(inCluster, signet.token()));
        assertTrue(signet.requests.stream().noneMatch(request -> request.uri().toString().startsWith(ISSUER)));
    }

    @Test
    void trailingSlashOfTheIssuerIsNotDoubled() {
        String issuer = ISSUER + "/";
        String uri = issuer + "/status/1";
        signet.listClaims.putAll(Map.of("iss", issuer, "sub", uri));
        String token = signet.token(Map.of("iss", issuer, "status", FakeSignet.at(3, uri)));

        assertEquals(ACCEPTED, Outcome.of(signet.builder().issuer(issuer).build(), token));

        assertEquals(
                List.of(KEYS_URL, LIST_URL),
                signet.requests.stream().map(request -> request.uri().toString()).toList());
    }

    @Test
    void invalidSettingsAreRefused() {
        Map<String, UnaryOperator<SignetVerifier.Builder>> settings = Map.of(
                "issuer", builder -> builder.issuer(""),
                "audience", builder -> builder.audience(null),
                "baseUrl", builder -> builder.baseUrl("ftp://signet"),
                "leeway", builder -> builder.leeway(Duration.ofSeconds(61)),
                "cooldown", builder -> builder.cooldown(Duration.ofSeconds(-1)),
                "timeout", builder -> builder.timeout(Duration.ZERO),
                "whenStatusUnavailable", builder -> builder.whenStatusUnavailable(null),
                "httpClient", builder -> builder.httpClient(java.net.http.HttpClient.newBuilder()
                        .followRedirects(java.net.http.HttpClient.Redirect.NORMAL)
                        .build()));
        settings.forEach((name, change) -> {
            SignetVerifier.Builder changed = change.apply(signet.builder());
            String message = assertThrows(IllegalArgumentException.class, changed::build).getMessage();
            assertTrue(message.startsWith(name), message);
        });
    }

    /** The URL is logged with each failed fetch, so it must not contain a password. */
    @Test
    void urlWithAPasswordIsRefusedAndNotQuoted() {
        for (String baseUrl : List.of("http://user:hunter2@signet", "https://hunter2@signet", "http://user:hunter2@bad host")) {
            SignetVerifier.Builder changed = signet.builder().baseUrl(baseUrl);
            IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, changed::build);
            assertTrue(refused.getMessage().startsWith("baseUrl") && !refused.getMessage().contains("hunter2"), refused.getMessage());
        }
    }

    private String outcome(String token) {
        return Outcome.of(verifier, token);
    }

    private String tokenWithUnknownKey() {
        return signet.clientToken(UUID.randomUUID().toString());
    }

    private CompletableFuture<String> verifyInThread(String token) {
        CompletableFuture<String> outcome = new CompletableFuture<>();
        Thread thread = new Thread(() -> outcome.complete(outcome(token)));
        thread.setDaemon(true);
        thread.start();
        return outcome;
    }

    private String assertReturnsWithin(long milliseconds, String token) {
        return verifyInThread(token).orTimeout(milliseconds, TimeUnit.MILLISECONDS).join();
    }

    private void waitForFetches(String url, int count) throws InterruptedException {
        while (signet.fetches(url) < count) {
            Thread.sleep(2);
        }
    }
}

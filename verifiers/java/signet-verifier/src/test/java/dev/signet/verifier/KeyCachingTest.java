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

/** When the key set is fetched, and when it is not. */
@Timeout(60)
class KeyCachingTest {

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();

    @Test
    void nothingIsFetchedAtTheStart() {
        assertEquals(0, signet.requests.size());
    }

    @Test
    void hundredTokensAtOnceCauseOneFetchOfEachDocument() {
        String token = signet.token();

        List<CompletableFuture<String>> outcomes =
                IntStream.range(0, 100).mapToObj(number -> inThread(token)).toList();

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
    void rotationRefusesNobody() {
        verifier.verify(signet.clientsOwn());
        signet.keys.put("second", SECOND_KEY); // published long before it signs
        signet.advance(300);
        assertEquals(ACCEPTED, outcome(signet.clientsOwn()));
        assertEquals(ACCEPTED, outcome(signet.clientsOwn("second")));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void withdrawnKeyIsGoneWithTheNextFetch() {
        String token = signet.clientsOwn();
        assertEquals(ACCEPTED, outcome(token));

        signet.keys.clear();
        signet.keys.put("second", SECOND_KEY);
        signet.advance(300);

        assertEquals("unknown_key", outcome(token));
        assertEquals(ACCEPTED, outcome(signet.clientsOwn("second")));
    }

    @Test
    void notModifiedMakesTheHeldSetAsGoodAsNew() {
        String token = signet.clientsOwn();
        verifier.verify(token);
        for (double seconds : new double[] {300, 300, 299}) {
            signet.advance(seconds);
            verifier.verify(token);
        }

        assertEquals(List.of(200, 304, 304), signet.statusesSent);
    }

    @Test
    void thousandMadeUpKeysCauseOneFetchInACoolDown() {
        verifier.verify(signet.clientsOwn());
        signet.advance(30);
        List<CompletableFuture<String>> outcomes =
                Stream.generate(() -> inThread(madeUp())).limit(500).toList();
        Set<String> seen = outcomes.stream().map(CompletableFuture::join).collect(Collectors.toSet());
        for (int number = 0; number < 500; number++) {
            signet.advance(29 / 500.0);
            seen.add(outcome(madeUp()));
        }

        assertEquals(Set.of("unknown_key"), seen);
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void newKeyIsFoundAfterTheCoolDown() {
        verifier.verify(signet.clientsOwn());
        signet.keys.put("second", SECOND_KEY);
        String token = signet.clientsOwn("second");

        signet.advance(29);
        assertEquals("unknown_key", outcome(token));
        signet.advance(1);

        assertEquals(ACCEPTED, outcome(token));
    }

    @Test
    void goodTokensDoNotWaitForTheFetchOfAMadeUpKey() {
        String good = signet.clientsOwn();
        verifier.verify(good);
        signet.advance(30);
        signet.gate = new CompletableFuture<>();
        List<CompletableFuture<String>> strangers =
                Stream.generate(() -> inThread(madeUp())).limit(50).toList();

        for (int number = 0; number < 100; number++) {
            assertEquals(ACCEPTED, assertTimely(100, good));
        }

        assertTrue(strangers.stream().noneMatch(CompletableFuture::isDone));
        signet.gate.complete(null);
        strangers.forEach(stranger -> assertEquals("unknown_key", stranger.join()));
    }

    @Test
    void madeUpKeysKeepToTheCoolDownWhileSignetIsDown() {
        verifier.verify(signet.clientsOwn());
        signet.isUp = false;
        for (int second = 0; second < 29; second++) {
            signet.advance(1);
            assertEquals("unknown_key", outcome(madeUp()));
        }
        assertEquals(1, signet.fetches(KEYS_URL));
        signet.advance(1);
        assertEquals("unknown_key", outcome(madeUp()));

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void keysAreKeptWithoutEndAndAskedForAfterEachPause() {
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
    void withoutAnyKeysItIsTriedAgainEachSecond() {
        signet.isUp = false;
        String token = signet.clientsOwn();
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
    void whatIsNoKeySetReplacesNothing(String document) {
        String token = signet.clientsOwn();
        verifier.verify(token);
        signet.advance(300);
        signet.answers.put(KEYS_URL, FakeSignet.reply(200, document));

        assertEquals(ACCEPTED, outcome(token));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void clockThatIsSetBackChangesNoAge() {
        String token = signet.clientsOwn();
        verifier.verify(token);

        signet.advanceAgesAlone(300);
        verifier.verify(token);

        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void agesCountFromWhenTheQuestionWasSent() throws InterruptedException {
        String token = signet.token();
        verifier.verify(token);
        signet.advance(300);
        signet.gate = new CompletableFuture<>();
        CompletableFuture<String> waiter = inThread(token);
        waitForFetches(KEYS_URL, 2);
        signet.advance(2);
        signet.gate.complete(null);
        assertEquals(ACCEPTED, waiter.join());

        signet.advance(297);
        outcome(token);
        assertEquals(2, signet.fetches(KEYS_URL));
        signet.advance(1);
        outcome(token);

        assertEquals(3, signet.fetches(KEYS_URL), "what was ended while the answer was on its way is not in it");
    }

    @Test
    void nobodyWaitsLongForKeysThatAreOnlyToBeRenewed() throws InterruptedException {
        String token = signet.clientsOwn();
        verifier.verify(token);
        signet.keys.clear();
        signet.keys.put("second", SECOND_KEY);
        signet.advance(300);
        signet.gate = new CompletableFuture<>();

        assertEquals(ACCEPTED, assertTimely(2000, token));
        for (int number = 0; number < 20; number++) {
            assertEquals(ACCEPTED, assertTimely(300, token), "the second is over for all");
        }
        CompletableFuture<String> waiter = inThread(signet.clientsOwn("second"));
        Thread.sleep(50);
        assertFalse(waiter.isDone(), "a key that is not held is waited for");
        signet.gate.complete(null);

        assertEquals(ACCEPTED, waiter.join());
        assertEquals("unknown_key", outcome(token));
        assertEquals(2, signet.fetches(KEYS_URL));
    }

    @Test
    void waiterThatIsInterruptedTakesNobodyAlong() throws InterruptedException {
        signet.gate = new CompletableFuture<>();
        String token = signet.clientsOwn();
        List<String> codes = new ArrayList<>();
        Thread first = new Thread(() -> codes.add(outcome(token) + " " + Thread.currentThread().isInterrupted()));
        first.start();
        waitForFetches(KEYS_URL, 1);
        CompletableFuture<String> second = inThread(token);

        first.interrupt(); // it began the fetch
        first.join();
        signet.gate.complete(null);

        assertEquals(List.of("keys_unavailable true"), codes);
        assertEquals(ACCEPTED, second.join());
        assertEquals(1, signet.fetches(KEYS_URL));
    }

    @Test
    void thePauseBeginsWhenAFetchIsGivenUp() throws InterruptedException {
        SignetVerifier hasty = signet.builder().timeout(Duration.ofMillis(200)).build();
        signet.gate = new CompletableFuture<>();
        String token = signet.clientsOwn();
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
    void addressInsideTheClusterIsAskedInsteadOfTheIssuer(String end) {
        String inside = "http://signet.internal:8080/id";
        signet.answers.put(inside + "/.well-known/jwks.json", FakeSignet.reply(200, signet.jwks()));
        signet.answers.put(inside + "/status/1", FakeSignet.reply(200, signet.listToken()));

        SignetVerifier inCluster = signet.builder().baseUrl(inside + end).build();

        assertEquals(ACCEPTED, Outcome.of(inCluster, signet.token()));
        assertTrue(signet.requests.stream().noneMatch(request -> request.uri().toString().startsWith(ISSUER)));
    }

    @Test
    void finalSlashOfTheIssuerIsNotDoubled() {
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
    void settingsThatCannotBeMeantAreRefused() {
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

    /** An address is logged with each fetch that fails. */
    @Test
    void passwordInAnAddressIsRefusedAndNotQuoted() {
        for (String address : List.of("http://user:hunter2@signet", "https://hunter2@signet", "http://user:hunter2@bad host")) {
            SignetVerifier.Builder changed = signet.builder().baseUrl(address);
            IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, changed::build);
            assertTrue(refused.getMessage().startsWith("baseUrl") && !refused.getMessage().contains("hunter2"), refused.getMessage());
        }
    }

    private String outcome(String token) {
        return Outcome.of(verifier, token);
    }

    private String madeUp() {
        return signet.clientsOwn(UUID.randomUUID().toString());
    }

    private CompletableFuture<String> inThread(String token) {
        CompletableFuture<String> outcome = new CompletableFuture<>();
        Thread thread = new Thread(() -> outcome.complete(outcome(token)));
        thread.setDaemon(true);
        thread.start();
        return outcome;
    }

    private String assertTimely(long milliseconds, String token) {
        return inThread(token).orTimeout(milliseconds, TimeUnit.MILLISECONDS).join();
    }

    private void waitForFetches(String url, int count) throws InterruptedException {
        while (signet.fetches(url) < count) {
            Thread.sleep(2);
        }
    }
}

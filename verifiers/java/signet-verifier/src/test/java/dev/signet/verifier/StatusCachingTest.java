package dev.signet.verifier;

import static dev.signet.verifier.FakeSignet.ISSUER;
import static dev.signet.verifier.FakeSignet.KEYS_URL;
import static dev.signet.verifier.FakeSignet.LIST_URL;
import static dev.signet.verifier.FakeSignet.SECOND_KEY;
import static dev.signet.verifier.FakeSignet.START;
import static dev.signet.verifier.FakeSignet.at;
import static dev.signet.verifier.Outcome.ACCEPTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Fetching and caching of status lists, and verification without a list. */
@Timeout(60)
class StatusCachingTest {

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();

    @Test
    void logoutTakesEffectWithTheNextList() {
        String ended = signet.token();
        String goingOn = signet.token(Map.of("status", at(4, LIST_URL)));
        assertEquals(ACCEPTED, outcome(ended));
        signet.revoke(3);

        signet.advance(9.9);
        assertEquals(ACCEPTED, outcome(ended));
        assertEquals(1, signet.fetches(LIST_URL), "once per ttl");
        signet.advance(0.1);

        assertEquals("revoked", outcome(ended));
        assertEquals(ACCEPTED, outcome(goingOn));
        assertEquals(2, signet.fetches(LIST_URL));
    }

    @Test
    void listWithoutTtlIsCachedForFiveMinutes() {
        signet.listClaims.put("ttl", null);
        String token = signet.token();
        verifier.verify(token);

        signet.advance(299);
        verifier.verify(token);
        assertEquals(1, signet.fetches(LIST_URL));
        signet.advance(1);
        verifier.verify(token);

        assertEquals(2, signet.fetches(LIST_URL));
    }

    @ParameterizedTest
    @ValueSource(doubles = {86_401, 1e300, 1e30})
    void ttlIsCappedAtADay(double ttl) {
        signet.listClaims.putAll(Map.of("ttl", ttl, "exp", START + 1_000_000));
        String token = signet.token(Map.of("exp", START + 1_000_000));
        verifier.verify(token);
        signet.revoke(3);

        signet.advance(86_399);
        assertEquals(ACCEPTED, outcome(token));
        assertEquals(1, signet.fetches(LIST_URL));
        signet.advance(1);

        assertEquals("revoked", outcome(token));
    }

    @Test
    void notModifiedRenewsTheCachedList() {
        signet.listClaims.put("exp", null);
        String token = signet.token();
        verifier.verify(token);
        for (int turn = 0; turn < 3; turn++) {
            signet.advance(10);
            assertEquals(ACCEPTED, outcome(token));
        }

        assertEquals(4, signet.fetches(LIST_URL));
        assertEquals(List.of(200, 200, 304, 304, 304), signet.httpStatuses);
    }

    @Test
    void expiredListIsFetchedUnconditionally() {
        String token = signet.token();
        verifier.verify(token);

        signet.advance(631);

        assertEquals(ACCEPTED, outcome(token));
        assertEquals(List.of(200, 200, 304, 200), signet.httpStatuses);
    }

    @Test
    void outageOfTenMinutesRefusesNoValidToken() {
        String token = signet.token();
        String ended = signet.token(Map.of("status", at(5, LIST_URL)));
        signet.revoke(5);
        verifier.verify(token);
        signet.isUp = false;

        for (int second = 0; second < 600; second++) {
            signet.advance(1);
            assertEquals(ACCEPTED, outcome(token), "after " + second);
            assertEquals("revoked", outcome(ended));
        }
        signet.advance(29);
        assertEquals(ACCEPTED, outcome(token));
        signet.advance(1);

        assertEquals("status_unavailable", outcome(token), "exp plus the leeway has passed");
        signet.isUp = true;
        signet.advance(5);
        assertEquals(ACCEPTED, outcome(token));
    }

    @Test
    void listWithoutExpIsUsedUntilItsTtlHasPassed() {
        signet.listClaims.put("exp", null);
        String token = signet.token();
        verifier.verify(token);
        signet.isUp = false;

        signet.advance(9.9);
        assertEquals(ACCEPTED, outcome(token));
        signet.advance(0.1);

        assertEquals("status_unavailable", outcome(token));
    }

    @Test
    void refreshOfAUsableListDelaysRequestsOnlyBriefly() throws InterruptedException {
        String token = signet.token();
        verifier.verify(token);
        signet.revoke(3);
        signet.advance(10);
        signet.gate = new CompletableFuture<>();

        assertEquals(ACCEPTED, assertReturnsWithin(2000, token));
        for (int number = 0; number < 20; number++) {
            assertEquals(ACCEPTED, assertReturnsWithin(500, token), "the maximum wait is already over");
        }
        assertEquals(2, signet.fetches(LIST_URL));

        signet.gate.complete(null);
        for (int tries = 0; tries < 200 && outcome(token).equals(ACCEPTED); tries++) {
            Thread.sleep(5);
        }
        assertEquals("revoked", outcome(token), "the late response is used");
        assertEquals(2, signet.fetches(LIST_URL));
    }

    @Test
    void withoutAUsableListAllRequestsWait() throws InterruptedException {
        String token = signet.token();
        signet.cacheControl = "max-age=10000";
        verifier.verify(token);
        signet.revoke(3);
        signet.advance(631);
        signet.gate = new CompletableFuture<>();

        CompletableFuture<String> waiter = CompletableFuture.supplyAsync(() -> outcome(token));
        Thread.sleep(1200);
        assertFalse(waiter.isDone());
        signet.gate.complete(null);

        assertEquals("revoked", waiter.join());
    }

    @Test
    void failedFetchIsFollowedByAPause() {
        signet.answers.put(LIST_URL, FakeSignet.reply(500, ""));
        String token = signet.token();
        for (int number = 0; number < 10; number++) {
            assertEquals("status_unavailable", outcome(token));
        }
        assertEquals(1, signet.fetches(LIST_URL));

        signet.answers.clear();
        signet.advance(4.9);
        assertEquals("status_unavailable", outcome(token));
        signet.advance(0.1);

        assertEquals(ACCEPTED, outcome(token));
        assertEquals(2, signet.fetches(LIST_URL));
    }

    @Test
    void acceptSettingAcceptsTokensWithoutAList() {
        signet.answers.put(LIST_URL, FakeSignet.reply(500, ""));
        SignetVerifier lenient = signet.builder()
                .whenStatusUnavailable(SignetVerifier.WhenStatusUnavailable.ACCEPT)
                .build();
        assertEquals(ACCEPTED, Outcome.of(lenient, signet.token()));
        signet.answers.clear();
        signet.revoke(3);
        signet.advance(5);

        assertEquals("revoked", Outcome.of(lenient, signet.token()), "an available list applies");
    }

    @Test
    void clientTokenNeedsNoList() {
        assertEquals(ACCEPTED, outcome(signet.clientToken()));
        assertEquals(0, signet.fetches(LIST_URL));
    }

    @Test
    void listWithAWrongSubIsRefused() {
        String elsewhere = ISSUER + "/status/2";
        signet.answers.put(elsewhere, FakeSignet.reply(200, signet.listToken()));

        assertEquals("status_unavailable", outcome(signet.token(Map.of("status", at(0, elsewhere)))));
    }

    @Test
    void listSignedByAnotherKeyIsRefused() {
        signet.answers.put(LIST_URL, FakeSignet.reply(200, signet.listToken(LIST_URL, SECOND_KEY)));
        assertEquals("status_unavailable", outcome(signet.token()));

        signet.answers.clear();
        signet.advance(5);
        assertEquals(ACCEPTED, outcome(signet.token()));
    }

    @Test
    void listUriOutsideTheIssuerIsNotFetched() {
        for (String uri : List.of(ISSUER + ".evil.test/1", "https://evil.test/1", ISSUER + "@evil.test/1", ISSUER)) {
            assertEquals("invalid_claim", outcome(signet.token(Map.of("status", at(0, uri)))));
        }
        for (String path : List.of("/@evil.test/1", "//evil.test/1", "/\\evil.test\n", "/\u00e9")) {
            assertEquals("status_unavailable", outcome(signet.token(Map.of("status", at(0, ISSUER + path)))));
        }

        assertEquals(
                Set.of("id.example.test"),
                signet.requests.stream().map(request -> request.uri().getHost()).collect(Collectors.toSet()));
    }

    @Test
    void atMost64ListsAreCached() {
        List<String> tokens = new ArrayList<>();
        for (int number = 0; number <= StatusSource.MAX_LISTS; number++) {
            String uri = ISSUER + "/status/" + (number + 100);
            signet.listClaims.put("ttl", 3000);
            signet.answers.put(uri, FakeSignet.reply(200, signet.listToken(uri, FakeSignet.FIRST_KEY)));
            tokens.add(signet.token(Map.of("status", at(0, uri))));
        }
        String first = tokens.get(0);
        String second = tokens.get(1);
        List<String> others = tokens.subList(2, StatusSource.MAX_LISTS);
        String oneMore = tokens.get(StatusSource.MAX_LISTS);

        assertEquals(3, requestsFor(List.of(first, second)), "the keys, and each list");
        assertEquals(62, requestsFor(others));
        assertEquals(0, requestsFor(List.of(first)));
        assertEquals(0, requestsFor(others));
        assertEquals(1, requestsFor(List.of(oneMore, first)));
        assertEquals(1, requestsFor(List.of(second)), "the least recently used list was evicted");
        assertEquals(1, signet.fetches(KEYS_URL));
    }

    private int requestsFor(List<String> tokens) {
        int before = signet.requests.size();
        tokens.forEach(token -> assertEquals(ACCEPTED, outcome(token)));
        return signet.requests.size() - before;
    }

    private String outcome(String token) {
        return Outcome.of(verifier, token);
    }

    private String assertReturnsWithin(long milliseconds, String token) {
        return CompletableFuture.supplyAsync(() -> outcome(token))
                .orTimeout(milliseconds, TimeUnit.MILLISECONDS)
                .join();
    }
}

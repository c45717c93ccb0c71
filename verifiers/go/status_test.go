package verifier_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

func TestLogoutTakesEffectWithTheNextList(t *testing.T) {
	for ttl, lifetime := range map[any]time.Duration{
		15:     15 * time.Second,
		nil:    5 * time.Minute,
		0.5:    500 * time.Millisecond,
		86_401: 24 * time.Hour,
		1e300:  24 * time.Hour,
	} {
		f := newFakeIssuer(t)
		never := f.Now().Add(1000 * time.Hour).Unix()
		f.list = claims{"ttl": ttl, "exp": never}
		v, token := f.verifier(), f.token(claims{"exp": never})
		other := f.token(claims{"exp": never, "status": statusAt(4, listURL)})
		expect(t, v, token, "accepted")
		f.revoke(3)

		f.Advance(lifetime - time.Millisecond)
		expect(t, v, token, "accepted")
		expectFetches(t, f, listURL, 1)
		f.Advance(time.Millisecond)
		expect(t, v, token, "revoked")
		expect(t, v, other, "accepted")
		expect(t, v, token, "revoked")
		expectFetches(t, f, listURL, 2)
	}
}

func TestUnchangedListIsNotSentAgain(t *testing.T) {
	f := newFakeIssuer(t)
	f.list = claims{"exp": f.Now().Add(time.Hour).Unix()}
	v, token := f.verifier(), f.token(nil)
	for fetches := range 4 {
		expect(t, v, token, "accepted")
		expect(t, v, token, "accepted")
		expectFetches(t, f, listURL, fetches+1)
		f.Advance(10 * time.Second)
	}
	if f.statuses[len(f.statuses)-1] != http.StatusNotModified {
		t.Error(f.statuses)
	}
}

func TestCachedListIsUsedUntilItExpiresWhileSignetIsUnreachable(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(nil)
	f.revoke(5)
	expect(t, v, token, "accepted")
	f.SetAway(true)

	f.Advance(629 * time.Second)
	expect(t, v, token, "accepted")
	expect(t, v, f.token(claims{"status": statusAt(5, listURL)}), "revoked")
	f.Advance(time.Second) // exp plus the leeway has passed
	expect(t, v, token, "status_unavailable")
}

// A 304 must not renew an expired list.
func TestExpiredListIsFetchedUnconditionally(t *testing.T) {
	f := newFakeIssuer(t)
	f.list = claims{"exp": f.Now().Add(time.Minute).Unix(), "ttl": 300}
	v, token := f.verifier(), f.token(nil)
	expect(t, v, token, "accepted")
	f.Advance(91 * time.Second)
	f.respondWith(listURL, func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") != "" {
			t.Error("the request is conditional")
		}
		return answerOf(http.StatusNotModified, ""), nil
	})
	expect(t, v, token, "status_unavailable")
}

func TestListWithoutExpIsUsedUntilItsTTLHasPassed(t *testing.T) {
	f := newFakeIssuer(t)
	f.list = claims{"exp": nil}
	v, token := f.verifier(), f.token(nil)
	expect(t, v, token, "accepted")
	f.SetAway(true)

	f.Advance(9900 * time.Millisecond)
	expect(t, v, token, "accepted")
	f.Advance(100 * time.Millisecond)
	expect(t, v, token, "status_unavailable")
}

func TestRefreshOfAUsableListDelaysRequestsOnlyBriefly(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(verifier.WithTimeout(time.Minute)), f.token(nil)
	expect(t, v, token, "accepted")
	f.revoke(3)
	f.Advance(10 * time.Second)
	release := f.blockResponses()
	defer release()

	began := time.Now()
	for range 20 {
		expect(t, v, token, "accepted")
	}
	if waited := time.Since(began); waited < 900*time.Millisecond || waited > 5*time.Second {
		t.Errorf("waited for %v", waited)
	}
	expectFetches(t, f, listURL, 2)
	release()
	eventually(t, "the late response is used", func() bool { return outcome(v, token) == "revoked" })
	expectFetches(t, f, listURL, 2)
}

func TestWithoutAUsableListAllRequestsWait(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(verifier.WithTimeout(time.Minute)), f.token(nil)
	f.header.Set("Cache-Control", "max-age=10000")
	expect(t, v, token, "accepted")
	f.revoke(3)
	f.Advance(631 * time.Second)
	release := f.blockResponses()
	defer release()

	waiting := verifyInBackground(context.Background(), v, token)
	select {
	case found := <-waiting:
		t.Fatalf("did not wait: %s", found)
	case <-time.After(1200 * time.Millisecond):
	}
	release()
	if found := <-waiting; found != "revoked" {
		t.Error(found)
	}
}

func TestFailedFetchIsFollowedByAPause(t *testing.T) {
	f := newFakeIssuer(t)
	f.respondWith(listURL, respond(http.StatusInternalServerError, ""))
	v, token := f.verifier(), f.token(nil)
	for range 10 {
		expect(t, v, token, "status_unavailable")
	}
	expectFetches(t, f, listURL, 1)
	f.restore(listURL)
	f.Advance(4900 * time.Millisecond)
	expect(t, v, token, "status_unavailable")
	f.Advance(100 * time.Millisecond)
	expect(t, v, token, "accepted")
	expectFetches(t, f, listURL, 2)
}

func TestWithStatusUnavailableAcceptedTokensNeedNoList(t *testing.T) {
	f := newFakeIssuer(t)
	f.respondWith(listURL, respond(http.StatusInternalServerError, ""))
	v, token := f.verifier(verifier.WithStatusUnavailableAccepted()), f.token(nil)
	expect(t, v, token, "accepted")
	f.restore(listURL)
	f.revoke(3)
	f.Advance(5 * time.Second)
	expect(t, v, token, "revoked") // an available list applies
}

// A list is bound to its URI by sub: one list cannot replace another.
func TestListWithAWrongSubIsRefused(t *testing.T) {
	const elsewhere = signettest.URL + "/status/2"
	f := newFakeIssuer(t)
	f.respondWith(elsewhere, respond(http.StatusOK, f.listToken()))
	expect(t, f.verifier(), f.token(claims{"status": statusAt(0, elsewhere)}), "status_unavailable")
}

func TestListSignedByAnotherKeyIsRefused(t *testing.T) {
	f, stranger := newFakeIssuer(t), signettest.NewIssuer(t)
	stranger.Rotate() // a key that the fakeIssuer does not have
	list := claims{
		"sub": listURL, "iat": f.Now().Unix(),
		"status_list": claims{"bits": 1, "lst": pack(t, make([]byte, 16))},
	}
	v, token := f.verifier(), f.token(nil)
	for _, kid := range []string{"key-1", "made-up"} {
		forged := stranger.Sign(claims{"typ": "statuslist+jwt", "kid": kid}, list)
		f.respondWith(listURL, respond(http.StatusOK, forged))
		expect(t, v, token, "status_unavailable")
		f.Advance(5 * time.Second)
	}
	genuine := f.Sign(claims{"typ": "statuslist+jwt"}, list)
	f.respondWith(listURL, respond(http.StatusOK, genuine))
	expect(t, v, token, "accepted")
}

// Like a token, a list may be signed by a key that is not cached yet.
func TestListSignedByANewKeyCausesAFetchOfTheKeySet(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(nil)
	expect(t, v, token, "accepted")
	f.Rotate()
	f.revoke(3)
	f.Advance(30 * time.Second)
	expect(t, v, token, "revoked")
	expectFetches(t, f, keysURL, 2)
}

func TestListURIOutsideTheIssuerIsNotFetched(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()
	for _, suffix := range []string{".evil.test/1", "@evil.test/1", ":8080/1", ""} {
		expect(t, v, f.token(claims{"status": statusAt(0, signettest.URL+suffix)}), "invalid_claim")
	}
	expect(t, v, f.token(claims{"status": statusAt(0, "https://evil.test/1")}), "invalid_claim")
	for _, suffix := range []string{"/@evil.test/1", "//evil.test/1", "/\\evil.test\n", "/../x", "/%zz"} {
		expect(t, v, f.token(claims{"status": statusAt(0, signettest.URL+suffix)}), "status_unavailable")
	}
	for _, request := range f.requests {
		if request.URL.Host != "id.example.test" {
			t.Error(request.URL)
		}
	}
}

func TestAtMost64ListsAreCached(t *testing.T) {
	const most = 64
	f := newFakeIssuer(t)
	tokens := make([]string, most+1)
	for i := range tokens {
		uri := signettest.URL + "/status/" + strconv.Itoa(i+100)
		f.list = claims{"sub": uri, "ttl": 3000}
		f.respondWith(uri, respond(http.StatusOK, f.listToken()))
		tokens[i] = f.token(claims{"status": statusAt(0, uri)})
	}
	v := f.verifier()
	fetches := func(tokens ...string) int {
		before := len(f.requests)
		for _, token := range tokens {
			expect(t, v, token, "accepted")
		}
		return len(f.requests) - before
	}
	first, second, others, another := tokens[0], tokens[1], tokens[2:most], tokens[most]

	for _, one := range []struct {
		why    string
		wanted int
		found  int
	}{
		{"the keys, and each list", 1 + most, fetches(tokens[:most]...)},
		{"all are cached", 0, fetches(append([]string{first}, others...)...)},
		{"one more list", 1, fetches(append([]string{another, first}, others...)...)},
		{"the least recently used list was evicted", 1, fetches(second)},
	} {
		if one.found != one.wanted {
			t.Errorf("%s: %d fetches, not %d", one.why, one.found, one.wanted)
		}
	}
}

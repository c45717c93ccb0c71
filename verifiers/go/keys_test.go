package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

// tokensWithUnknownKeys returns tokens with different unknown kids.
func tokensWithUnknownKeys(f *fakeIssuer, count int) []string {
	tokens := make([]string, count)
	for i := range tokens {
		tokens[i] = f.tokenOf(fmt.Sprintf("made-up-%d", i))
	}
	return tokens
}

func TestDocumentsAreFetchedOnlyWhenATokenNeedsThem(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()

	expect(t, v, "not.a.token", "malformed")
	expect(t, v, f.Sign(claims{"typ": "JWT"}, f.claims(nil)), "wrong_type")
	if len(f.requests) != 0 {
		t.Error("something was fetched")
	}
	expect(t, v, f.token(clientTokenClaims), "accepted")
	expectFetches(t, f, keysURL, 1)
	expectFetches(t, f, listURL, 0)
}

func TestHundredConcurrentTokensCauseOneFetchPerDocument(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()
	tokens := make([]string, 100)
	for i := range tokens {
		tokens[i] = f.token(nil)
	}

	if found := verifyConcurrently(v, tokens); found["accepted"] != 100 {
		t.Error(found)
	}
	expectFetches(t, f, keysURL, 1)
	expectFetches(t, f, listURL, 1)
}

func TestKeySetIsCachedForItsMaxAge(t *testing.T) {
	for header, lifetime := range map[string]time.Duration{
		"":                                    300 * time.Second,
		"public, max-age=60":                  60 * time.Second,
		"private,max-age=20":                  20 * time.Second,
		"MAX-AGE=20":                          20 * time.Second,
		`max-age="7"`:                         7 * time.Second,
		"max-age=0":                           time.Second,
		"max-age=99999999999999999999999":     24 * time.Hour,
		"max-age=999999999":                   24 * time.Hour,
		"s-maxage=7":                          300 * time.Second,
		"max-age=many":                        300 * time.Second,
		"no-cache":                            time.Second,
		"no-store":                            time.Second,
		"private,No-Store, max-age=120":       time.Second,
		`max-age=120, no-cache="Set-Cookie"`:  time.Second,
		"no-cached, x-no-store":               300 * time.Second,
		"max-age=20, stale-while-revalidate=": 20 * time.Second,
	} {
		t.Run(header, func(t *testing.T) {
			f := newFakeIssuer(t)
			f.header = http.Header{"Cache-Control": {header}}
			v := f.verifier()
			token := f.token(mergeClaims(clientTokenClaims, claims{"exp": f.Now().Add(100 * time.Hour).Unix()}))

			expect(t, v, token, "accepted")
			f.Advance(lifetime - time.Second/2)
			expect(t, v, token, "accepted")
			expectFetches(t, f, keysURL, 1)
			f.Advance(time.Second / 2)
			expect(t, v, token, "accepted")
			expect(t, v, token, "accepted")
			expectFetches(t, f, keysURL, 2)
		})
	}
}

// mergeClaims merges claims; later values replace earlier ones.
func mergeClaims(all ...claims) claims {
	sum := claims{}
	for _, one := range all {
		maps.Copy(sum, one)
	}
	return sum
}

func TestWithdrawnKeyIsRefusedAfterTheNextFetch(t *testing.T) {
	f := newFakeIssuer(t)
	v, old := f.verifier(), f.token(clientTokenClaims)
	expect(t, v, old, "accepted")

	f.Rotate()
	f.Withdraw()
	f.Advance(5 * time.Minute)

	expect(t, v, old, "unknown_key")
	expect(t, v, f.token(clientTokenClaims), "accepted")
}

func TestNotModifiedRenewsTheCachedKeySet(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(clientTokenClaims)
	f.header.Set("Cache-Control", "max-age=60")
	expect(t, v, token, "accepted")
	f.header.Set("Cache-Control", "max-age=600")
	f.Advance(time.Minute)
	expect(t, v, token, "accepted")
	f.header.Del("Cache-Control") // a 304 without max-age does not change the lifetime
	f.Advance(599 * time.Second)
	expect(t, v, token, "accepted")
	expectFetches(t, f, keysURL, 2)
	f.Advance(time.Second)
	expect(t, v, token, "accepted")
	f.Advance(599 * time.Second)
	expect(t, v, token, "accepted")

	if found := fmt.Sprint(f.statuses); found != "[200 304 304]" {
		t.Error(found)
	}
}

func TestThousandUnknownKidsCauseOneFetchPerCooldown(t *testing.T) {
	f := newFakeIssuer(t)
	v, unknown := f.verifier(), tokensWithUnknownKeys(f, 1000)
	expect(t, v, f.token(clientTokenClaims), "accepted")

	for fetches := 2; fetches < 5; fetches++ {
		f.Advance(29 * time.Second)
		if found := verifyConcurrently(v, unknown); found["unknown_key"] != 1000 {
			t.Fatal(found)
		}
		expectFetches(t, f, keysURL, fetches-1)
		f.Advance(time.Second)
		if found := verifyConcurrently(v, unknown); found["unknown_key"] != 1000 {
			t.Fatal(found)
		}
		expectFetches(t, f, keysURL, fetches)
	}
}

// Keys are published before they sign. Each second, twenty valid tokens and fifty tokens with
// unknown kids are verified. The keys are rotated every two minutes, and the key set has a max-age
// of 30 s.
func TestRotationsWithUnknownKidsRefuseNoValidToken(t *testing.T) {
	const seconds, publication = 10 * 60, 60
	f := newFakeIssuer(t)
	f.header.Set("Cache-Control", "max-age=30")
	v := f.verifier()
	sign := func() string { return f.Sign(nil, f.allClaims(clientTokenClaims)) }
	signing := sign()
	for second := range seconds {
		// A new key signs a minute after its publication.
		switch second % 120 {
		case 0:
			f.Rotate()
		case publication:
			signing = sign()
		}
		for i := range 20 {
			if found := outcome(v, signing); found != "accepted" {
				t.Fatalf("second %d, token %d: %s", second, i, found)
			}
		}
		for i := range 50 {
			expect(t, v, f.tokenWithUnknownKey(second*50+i), "unknown_key")
		}
		f.Advance(time.Second)
	}
	if fetches := f.fetches(keysURL); fetches > seconds/30+1 {
		t.Errorf("%d fetches", fetches)
	}
}

// allClaims returns all claims of a token.
func (f *fakeIssuer) allClaims(changes claims) claims {
	return mergeClaims(claims{
		"iss": signettest.URL, "aud": signettest.Audience, "client_id": "web", "jti": "a-token",
		"iat": f.Now().Unix(),
	}, f.claims(changes))
}

// tokenWithUnknownKey returns a token with an invented kid and signature, which is cheap to create.
func (f *fakeIssuer) tokenWithUnknownKey(number int) string {
	header := fmt.Sprintf(`{"alg":"RS256","typ":"at+jwt","kid":"made-up-%d"}`, number)
	return encode(header) + "." + encode("{}") + ".AAAA"
}

func TestNewKeyIsFoundAfterTheCooldownByAllConcurrentRequests(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()
	expect(t, v, f.token(clientTokenClaims), "accepted")
	f.Rotate()
	next := f.token(clientTokenClaims)

	f.Advance(29 * time.Second)
	expect(t, v, next, "unknown_key")
	expectFetches(t, f, keysURL, 1)
	f.Advance(time.Second)

	if found := verifyConcurrently(v, []string{next, next, next, next}); found["accepted"] != 4 {
		t.Error(found)
	}
	expectFetches(t, f, keysURL, 2)
}

func TestCooldownIsConfigurable(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier(verifier.WithCooldown(time.Second))
	expect(t, v, f.token(clientTokenClaims), "accepted")
	f.Rotate()
	f.Advance(time.Second)

	expect(t, v, f.token(clientTokenClaims), "accepted")
}

func TestCooldownAppliesToUnknownKidsWhileSignetIsUnreachable(t *testing.T) {
	f := newFakeIssuer(t)
	v, good := f.verifier(), f.token(clientTokenClaims)
	expect(t, v, good, "accepted")
	f.SetAway(true)
	for range 29 {
		f.Advance(time.Second)
		expect(t, v, f.tokenWithUnknownKey(1), "unknown_key")
	}
	expectFetches(t, f, keysURL, 1)
	f.Advance(time.Second)
	for range 10 {
		expect(t, v, f.tokenWithUnknownKey(1), "unknown_key")
		expect(t, v, good, "accepted")
	}
	expectFetches(t, f, keysURL, 2)
}

func TestStaleKeysAreUsedAndRefetchedAfterEachPause(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()
	token := f.token(mergeClaims(clientTokenClaims, claims{"exp": f.Now().Add(10000 * time.Hour).Unix()}))
	expect(t, v, token, "accepted")
	f.SetAway(true)

	f.Advance(1000 * time.Hour)
	for range 10 {
		expect(t, v, token, "accepted")
	}
	expectFetches(t, f, keysURL, 2)
	f.Advance(4900 * time.Millisecond)
	expect(t, v, token, "accepted")
	expectFetches(t, f, keysURL, 2)
	f.Advance(100 * time.Millisecond)
	expect(t, v, token, "accepted")
	expectFetches(t, f, keysURL, 3)
}

// While Signet is unreachable for ten minutes, a running verifier refuses no valid token, and a
// verifier that starts meanwhile reports keys_unavailable. Afterwards both accept tokens.
func TestOutageOfTenMinutesRefusesNoValidToken(t *testing.T) {
	f := newFakeIssuer(t)
	f.list = claims{"exp": f.Now().Add(15 * time.Minute).Unix()}
	running, token := f.verifier(), f.token(nil)
	expect(t, running, token, "accepted")
	f.revoke(5)
	f.SetAway(true)

	started := f.verifier()
	for range 10 * 60 {
		f.Advance(time.Second)
		expect(t, running, token, "accepted")
		expect(t, started, token, "keys_unavailable")
	}
	expect(t, running, f.tokenWithUnknownKey(1), "unknown_key")
	f.SetAway(false)
	f.Advance(5 * time.Second)

	for _, v := range []*verifier.Verifier{running, started} {
		expect(t, v, token, "accepted")
		expect(t, v, f.token(claims{"status": statusAt(5, listURL)}), "revoked")
	}
}

func TestWithoutKeysFetchesAreRetriedEachSecond(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(clientTokenClaims)
	f.respondWith(keysURL, refuseConnection)
	for range 5 {
		expect(t, v, token, "keys_unavailable")
	}
	expectFetches(t, f, keysURL, 1)
	f.Advance(900 * time.Millisecond)
	expect(t, v, token, "keys_unavailable")
	expectFetches(t, f, keysURL, 1)
	f.Advance(100 * time.Millisecond)
	expect(t, v, token, "keys_unavailable")
	expectFetches(t, f, keysURL, 2)

	_, err := v.Verify(context.Background(), token)
	if !errors.Is(err, verifier.ErrUnavailable) || errors.Is(err, verifier.ErrRefused) {
		t.Error(err)
	}
	var known *verifier.Error
	if !errors.As(err, &known) || known.Cause == nil || known.Cause.Error() != "connection refused" {
		t.Errorf("the cause is missing: %v", known)
	}
	f.restore(keysURL)
	f.Advance(time.Second)
	expect(t, v, token, "accepted")
}

func TestInvalidKeySetDoesNotReplaceTheCachedOne(t *testing.T) {
	for _, document := range []string{"", "[]", "{}", `{"keys":{}}`, "<html>", "\xff", `{"keys":[]} x`} {
		t.Run(document, func(t *testing.T) {
			f := newFakeIssuer(t)
			v, token := f.verifier(), f.token(clientTokenClaims)
			expect(t, v, token, "accepted")
			f.Advance(5 * time.Minute)
			f.respondWith(keysURL, respond(http.StatusOK, document))

			expect(t, v, token, "accepted")
			expectFetches(t, f, keysURL, 2)
		})
	}
}

// A caller that found a stale copy just before a fetch ended uses the result of that fetch.
func TestFetchThatHasJustCompletedIsNotRepeated(t *testing.T) {
	f := newFakeIssuer(t)
	var blocks atomic.Bool
	looked, landed := make(chan struct{}), make(chan struct{})
	v := f.verifier(verifier.WithClock(func() time.Time {
		if blocks.CompareAndSwap(true, false) {
			close(looked)
			<-landed
		}
		return f.Now()
	}))
	token := f.token(clientTokenClaims)
	expect(t, v, token, "accepted")
	f.Advance(5 * time.Minute)

	blocks.Store(true)
	late := verifyInBackground(context.Background(), v, token)
	<-looked
	expect(t, v, token, "accepted")
	close(landed)
	if found := <-late; found != "accepted" {
		t.Error(found)
	}
	expectFetches(t, f, keysURL, 2)
}

// A response may lack sessions that ended while it was in transit.
func TestCacheAgeCountsFromTheStartOfTheFetch(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(nil)
	for fetches := 1; fetches < 4; fetches++ { // the first response is 200, the later ones are 304
		release := f.blockResponses()
		waiting := verifyInBackground(context.Background(), v, token)
		eventually(t, "the keys are requested", func() bool { return f.fetches(keysURL) == fetches })
		f.Advance(2 * time.Second)
		release()
		if found := <-waiting; found != "accepted" {
			t.Fatal(found)
		}
		f.Advance(298*time.Second - time.Millisecond)
		expect(t, v, token, "accepted")
		expectFetches(t, f, keysURL, fetches)
		f.Advance(time.Millisecond)
	}
}

func TestRefreshOfUsableKeysDelaysRequestsOnlyBriefly(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(verifier.WithTimeout(time.Minute)), f.token(clientTokenClaims)
	expect(t, v, token, "accepted")
	f.Rotate()
	f.Withdraw()
	next := f.token(clientTokenClaims)
	f.Advance(5 * time.Minute)
	release := f.blockResponses()
	defer release()

	began := time.Now()
	expect(t, v, token, "accepted")
	if waited := time.Since(began); waited < 900*time.Millisecond || waited > 5*time.Second {
		t.Errorf("waited for %v", waited)
	}
	began = time.Now()
	for range 20 { // the maximum wait is already over
		expect(t, v, token, "accepted")
	}
	if waited := time.Since(began); waited > 900*time.Millisecond {
		t.Errorf("waited for %v more", waited)
	}
	waiting := verifyInBackground(context.Background(), v, next)
	select {
	case found := <-waiting:
		t.Fatalf("a token with an uncached key did not wait for the fetch: %s", found)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if found := <-waiting; found != "accepted" {
		t.Error(found)
	}
	expect(t, v, token, "unknown_key")
	expectFetches(t, f, keysURL, 2)
}

func TestCancelledRequestDoesNotCancelOthers(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(), f.token(clientTokenClaims)
	release := f.blockResponses()
	ctx, cancel := context.WithCancel(context.Background())
	first := verifyInBackground(ctx, v, token) // starts the fetch
	eventually(t, "the keys are requested", func() bool { return f.fetches(keysURL) == 1 })
	others := []<-chan string{
		verifyInBackground(context.Background(), v, token), verifyInBackground(context.Background(), v, token),
	}

	cancel()
	if found := <-first; found != "keys_unavailable" {
		t.Error(found)
	}
	release()
	for _, other := range others {
		if found := <-other; found != "accepted" {
			t.Error(found)
		}
	}
	expectFetches(t, f, keysURL, 1)
}

func TestEndedContextGetsAnUnavailableError(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier(verifier.WithStatusUnavailableAccepted())
	listed := f.token(nil)
	expect(t, v, f.token(clientTokenClaims), "accepted")
	f.Rotate()
	ofNewKey := f.token(clientTokenClaims)
	f.Advance(30 * time.Second)
	defer f.blockResponses()()

	for token, wanted := range map[string]error{
		listed: verifier.ErrStatusUnavailable, ofNewKey: verifier.ErrKeysUnavailable,
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := v.Verify(ctx, token)
		cancel()
		if !errors.Is(err, wanted) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("found %v, not %v", err, wanted)
		}
	}
}

func TestBaseURLIsFetchedInsteadOfTheIssuer(t *testing.T) {
	const inside = "http://signet.internal:8080/id"
	f := newFakeIssuer(t)
	f.respondWith(inside+"/.well-known/jwks.json", func(r *http.Request) (*http.Response, error) {
		return f.responseOf(r, keysURL), nil
	})
	f.respondWith(inside+"/status/1", respond(http.StatusOK, f.listToken()))

	for _, baseURL := range []string{inside, inside + "/"} {
		expect(t, f.verifier(verifier.WithBaseURL(baseURL)), f.token(nil), "accepted")
	}
	expectFetches(t, f, keysURL, 0)
	expectFetches(t, f, listURL, 0)
}

// responseOf returns the response for a different URL.
func (f *fakeIssuer) responseOf(r *http.Request, url string) *http.Response {
	there, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.answer(there)
}

func TestOnlyOneTrailingSlashIsRemoved(t *testing.T) {
	f := newFakeIssuer(t)
	expect(t, f.verifier(verifier.WithBaseURL("http://signet.internal//")), f.token(nil), "keys_unavailable")
	expectFetches(t, f, "http://signet.internal//.well-known/jwks.json", 1)

	issuer := signettest.URL + "/"
	uri := issuer + "/status/1"
	f.list = claims{"iss": issuer, "sub": uri}
	v, err := verifier.New(issuer, signettest.Audience,
		verifier.WithHTTPClient(&http.Client{Transport: f}), verifier.WithClock(f.Now))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, f.token(claims{"iss": issuer, "status": statusAt(3, uri)}), "accepted")
	expectFetches(t, f, keysURL, 1)
	expectFetches(t, f, listURL, 1)
}

func TestRetryPauseStartsWhenAFetchTimesOut(t *testing.T) {
	f := newFakeIssuer(t)
	v, token := f.verifier(verifier.WithTimeout(500*time.Millisecond)), f.token(nil)
	defer f.blockResponses()()
	waiting := verifyInBackground(context.Background(), v, token)
	eventually(t, "the keys are requested", func() bool { return f.fetches(keysURL) == 1 })
	f.Advance(3 * time.Second)
	if found := <-waiting; found != "keys_unavailable" {
		t.Fatal(found)
	}

	expect(t, v, token, "keys_unavailable")
	expectFetches(t, f, keysURL, 1)
	f.Advance(time.Second)
	expect(t, v, token, "keys_unavailable")
	expectFetches(t, f, keysURL, 2)
}

func TestInvalidSettingIsRefused(t *testing.T) {
	for name, made := range map[string]func() (*verifier.Verifier, error){
		"no issuer":          func() (*verifier.Verifier, error) { return verifier.New("", "a") },
		"no audience":        func() (*verifier.Verifier, error) { return verifier.New(signettest.URL, "") },
		"issuer not a URL":   func() (*verifier.Verifier, error) { return verifier.New("signet", "a") },
		"base URL of a file": with(verifier.WithBaseURL("file:///etc/keys")),
		"base URL, no host":  with(verifier.WithBaseURL("https:///keys")),
		"base URL, query":    with(verifier.WithBaseURL("https://id.example?a=b")),
		"base URL, fragment": with(verifier.WithBaseURL("https://id.example#a")),
		"negative leeway":    with(verifier.WithLeeway(-1)),
		"long leeway":        with(verifier.WithLeeway(61 * time.Second)),
		"negative cool-down": with(verifier.WithCooldown(-1)),
		"timeout of 0":       with(verifier.WithTimeout(0)),
		"no client":          with(verifier.WithHTTPClient(nil)),
		"no logger":          with(verifier.WithLogger(nil)),
		"no clock":           with(verifier.WithClock(nil)),
		"no refusal handler": with(verifier.WithRefusalHandler(nil)),
	} {
		if v, err := made(); err == nil || v != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := with(verifier.WithBaseURL("https://id.example"))(); err != nil {
		t.Error(err)
	}
}

func with(option verifier.Option) func() (*verifier.Verifier, error) {
	return func() (*verifier.Verifier, error) {
		return verifier.New(signettest.URL, signettest.Audience, option)
	}
}

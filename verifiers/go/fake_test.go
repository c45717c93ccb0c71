package verifier_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

const (
	keysURL = signettest.URL + "/.well-known/jwks.json"
	listURL = signettest.URL + "/status/1"
	user    = "0199aa00-0000-7000-8000-000000000001"
)

type claims = signettest.Claims

// clientTokenClaims are changes that turn a user's token into a client credentials token, which
// needs no list.
var clientTokenClaims = claims{"user_id": nil, "status": nil}

// A fakeIssuer is the issuer of signettest with ETags and with network faults. It records requests,
// and is the transport of its verifiers.
type fakeIssuer struct {
	*signettest.Issuer
	t testing.TB

	mu       sync.Mutex
	header   http.Header // of every response, besides an ETag
	list     claims      // changes to the claims of the status list
	revoked  []byte
	answers  map[string]func(*http.Request) (*http.Response, error)
	gate     chan struct{} // responses wait until it is closed
	requests []*http.Request
	statuses []int
}

func newFakeIssuer(t testing.TB) *fakeIssuer {
	t.Helper()
	return &fakeIssuer{
		Issuer:  signettest.NewIssuer(t),
		t:       t,
		header:  http.Header{"Cache-Control": {"max-age=300"}},
		revoked: make([]byte, 16),
		answers: map[string]func(*http.Request) (*http.Response, error){},
	}
}

// verifier returns a verifier that logs nothing by default.
func (f *fakeIssuer) verifier(options ...verifier.Option) *verifier.Verifier {
	f.t.Helper()
	quiet := verifier.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	own := []verifier.Option{verifier.WithHTTPClient(&http.Client{Transport: f}), quiet}
	return f.Verifier(append(own, options...)...)
}

// token returns a user's token that is valid for a day, with its status at index 3.
func (f *fakeIssuer) token(changes claims) string {
	return f.Token(f.claims(changes))
}

func (f *fakeIssuer) claims(changes claims) claims {
	all := claims{
		"sub": user, "user_id": user, "scope": "profile tasks",
		"exp": f.Now().Add(24 * time.Hour).Unix(), "status": statusAt(3, listURL),
	}
	maps.Copy(all, changes)
	return all
}

// tokenOf returns a client credentials token with this kid, which may be unknown.
func (f *fakeIssuer) tokenOf(kid string) string {
	all := f.claims(clientTokenClaims)
	maps.Copy(all, claims{
		"iss": signettest.URL, "aud": signettest.Audience, "client_id": "web", "jti": "a-token",
		"iat": f.Now().Unix(),
	})
	return f.Sign(claims{"kid": kid}, all)
}

func statusAt(index int, uri string) claims {
	return claims{"status_list": claims{"idx": index, "uri": uri}}
}

func (f *fakeIssuer) revoke(index int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked[index/8] |= 1 << (index % 8)
}

// listToken returns the current status list.
func (f *fakeIssuer) listToken() string {
	all := claims{
		"iss": signettest.URL, "sub": listURL, "iat": f.Now().Unix(),
		"exp": f.Now().Add(10 * time.Minute).Unix(), "ttl": 10,
		"status_list": claims{"bits": 1, "lst": pack(f.t, f.revoked)},
	}
	maps.Copy(all, f.list)
	return f.Sign(claims{"typ": "statuslist+jwt"}, all)
}

// respondWith replaces the response for a URL.
func (f *fakeIssuer) respondWith(url string, answer func(*http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[url] = answer
}

func (f *fakeIssuer) restore(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.answers, url)
}

// blockResponses delays all responses until the returned function is called.
func (f *fakeIssuer) blockResponses() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.gate = gate
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.gate = nil
		close(gate)
	})
}

func (f *fakeIssuer) fetches(url string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, request := range f.requests {
		if request.URL.String() == url {
			count++
		}
	}
	return count
}

func (f *fakeIssuer) RoundTrip(request *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.requests = append(f.requests, request)
	gate, answer := f.gate, f.answers[request.URL.String()]
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
	if answer != nil {
		return answer(request)
	}
	return f.answer(request), nil
}

func (f *fakeIssuer) answer(request *http.Request) *http.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	recorder := httptest.NewRecorder()
	f.ServeHTTP(recorder, request)
	status, etag := recorder.Code, `"`+hash(recorder.Body.String())+`"`
	if request.URL.String() == listURL && status == http.StatusOK {
		etag = `"` + hash(fmt.Sprint(f.revoked, f.list)) + `"`
		recorder.Body.Reset()
		recorder.Body.WriteString(f.listToken())
	}
	response := answerOf(status, recorder.Body.String())
	maps.Copy(response.Header, f.header)
	if status == http.StatusOK {
		response.Header.Set("ETag", etag)
		if request.Header.Get("If-None-Match") == etag {
			response.StatusCode, response.Body = http.StatusNotModified, http.NoBody
		}
	}
	f.statuses = append(f.statuses, response.StatusCode)
	return response
}

func answerOf(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{},
		Body:       io.NopCloser(bytes.NewReader([]byte(body))),
	}
}

// respond returns a function that always sends the same response.
func respond(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return answerOf(status, body), nil }
}

func refuseConnection(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func hash(text string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(text))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func pack(t testing.TB, statuses []byte) string {
	t.Helper()
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	if _, err := writer.Write(statuses); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(packed.Bytes())
}

// outcome is the result of a verification as one word.
func outcome(v *verifier.Verifier, token string) string {
	return outcomeIn(context.Background(), v, token)
}

func outcomeIn(ctx context.Context, v *verifier.Verifier, token string) string {
	_, err := v.Verify(ctx, token)
	var refusal *verifier.Error
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &refusal):
		return string(refusal.Code)
	default:
		return fmt.Sprintf("%T: %v", err, err)
	}
}

func expect(t *testing.T, v *verifier.Verifier, token, wanted string) {
	t.Helper()
	if found := outcome(v, token); found != wanted {
		t.Fatalf("found %s, not %s", found, wanted)
	}
}

func expectFetches(t *testing.T, f *fakeIssuer, url string, wanted int) {
	t.Helper()
	if found := f.fetches(url); found != wanted {
		t.Fatalf("%d fetches of %s, not %d", found, url, wanted)
	}
}

// verifyInBackground verifies in a goroutine, and sends the outcome.
func verifyInBackground(ctx context.Context, v *verifier.Verifier, token string) <-chan string {
	found := make(chan string, 1)
	go func() { found <- outcomeIn(ctx, v, token) }()
	return found
}

// verifyConcurrently verifies each token in a separate goroutine, and counts the outcomes.
func verifyConcurrently(v *verifier.Verifier, tokens []string) map[string]int {
	waiting := make([]<-chan string, len(tokens))
	for i, token := range tokens {
		waiting[i] = verifyInBackground(context.Background(), v, token)
	}
	found := map[string]int{}
	for _, one := range waiting {
		found[<-one]++
	}
	return found
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for range 500 {
		if isSo() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within five seconds: %s", what)
}

func encode(text string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

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

// clientsOwn makes a token of client credentials of a person's: no list is needed for it.
var clientsOwn = claims{"user_id": nil, "status": nil}

// A fake is the issuer of signettest with ETags, and with everything else that a network may do to a
// fetch. It counts, and is the transport of its verifiers.
type fake struct {
	*signettest.Issuer
	t testing.TB

	mu       sync.Mutex
	header   http.Header // of every answer, besides an ETag
	list     claims      // on top of the claims of the status list
	revoked  []byte
	answers  map[string]func(*http.Request) (*http.Response, error)
	gate     chan struct{} // answers wait until it is closed
	requests []*http.Request
	statuses []int
}

func newFake(t testing.TB) *fake {
	t.Helper()
	return &fake{
		Issuer:  signettest.NewIssuer(t),
		t:       t,
		header:  http.Header{"Cache-Control": {"max-age=300"}},
		revoked: make([]byte, 16),
		answers: map[string]func(*http.Request) (*http.Response, error){},
	}
}

// verifier makes one that logs nothing unless told to.
func (f *fake) verifier(options ...verifier.Option) *verifier.Verifier {
	f.t.Helper()
	quiet := verifier.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	own := []verifier.Option{verifier.WithHTTPClient(&http.Client{Transport: f}), quiet}
	return f.Verifier(append(own, options...)...)
}

// token is a person's for a day, whose status is at index 3.
func (f *fake) token(changes claims) string {
	return f.Token(f.claims(changes))
}

func (f *fake) claims(changes claims) claims {
	all := claims{
		"sub": user, "user_id": user, "scope": "profile tasks",
		"exp": f.Now().Add(24 * time.Hour).Unix(), "status": statusAt(3, listURL),
	}
	maps.Copy(all, changes)
	return all
}

// tokenOf is a client's own token, signed by this key, of which there may be none.
func (f *fake) tokenOf(kid string) string {
	all := f.claims(clientsOwn)
	maps.Copy(all, claims{
		"iss": signettest.URL, "aud": signettest.Audience, "client_id": "web", "jti": "a-token",
		"iat": f.Now().Unix(),
	})
	return f.Sign(claims{"kid": kid}, all)
}

func statusAt(index int, uri string) claims {
	return claims{"status_list": claims{"idx": index, "uri": uri}}
}

func (f *fake) revoke(index int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked[index/8] |= 1 << (index % 8)
}

// listToken is the status list as it is now.
func (f *fake) listToken() string {
	all := claims{
		"iss": signettest.URL, "sub": listURL, "iat": f.Now().Unix(),
		"exp": f.Now().Add(10 * time.Minute).Unix(), "ttl": 10,
		"status_list": claims{"bits": 1, "lst": pack(f.t, f.revoked)},
	}
	maps.Copy(all, f.list)
	return f.Sign(claims{"typ": "statuslist+jwt"}, all)
}

// serve gives an answer instead of what an address has.
func (f *fake) serve(url string, answer func(*http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[url] = answer
}

func (f *fake) restore(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.answers, url)
}

// hold has answers wait until what it returns is called.
func (f *fake) hold() (release func()) {
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

func (f *fake) fetches(url string) int {
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

func (f *fake) RoundTrip(request *http.Request) (*http.Response, error) {
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

func (f *fake) answer(request *http.Request) *http.Response {
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

// always serves the same.
func always(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return answerOf(status, body), nil }
}

func refused(*http.Request) (*http.Response, error) {
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

// outcome is that of a verification as one word.
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

func expectFetches(t *testing.T, f *fake, url string, wanted int) {
	t.Helper()
	if found := f.fetches(url); found != wanted {
		t.Fatalf("%d fetches of %s, not %d", found, url, wanted)
	}
}

// inBackground verifies at the same time, and sends the outcome.
func inBackground(ctx context.Context, v *verifier.Verifier, token string) <-chan string {
	found := make(chan string, 1)
	go func() { found <- outcomeIn(ctx, v, token) }()
	return found
}

// atOnce verifies each token in a goroutine of its own, and counts the outcomes.
func atOnce(v *verifier.Verifier, tokens []string) map[string]int {
	waiting := make([]<-chan string, len(tokens))
	for i, token := range tokens {
		waiting[i] = inBackground(context.Background(), v, token)
	}
	found := map[string]int{}
	for _, one := range waiting {
		found[<-one]++
	}
	return found
}

// eventually waits for what another goroutine is about to do.
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

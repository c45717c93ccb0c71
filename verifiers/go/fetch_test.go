package verifier_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

const mebibyte = 1024 * 1024

// An endlessBody has no end, and counts the bytes read.
type endlessBody struct {
	read atomic.Int64
}

func (r *endlessBody) Read(space []byte) (int, error) {
	for i := range space {
		space[i] = ' '
	}
	r.read.Add(int64(len(space)))
	return len(space), nil
}

func (r *endlessBody) Close() error {
	return nil
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	const away = "https://evil.example.test/jwks.json"
	f := newFakeIssuer(t)
	f.respondWith(keysURL, func(*http.Request) (*http.Response, error) {
		response := answerOf(http.StatusFound, "")
		response.Header.Set("Location", away)
		return response, nil
	})
	expect(t, f.verifier(), f.token(nil), "keys_unavailable")
	expectFetches(t, f, away, 0)
}

func TestOversizedBodyIsNotReadToItsEnd(t *testing.T) {
	for _, one := range []struct {
		url    string
		limit  int64
		wanted string
	}{
		{keysURL, mebibyte / 4, "keys_unavailable"},
		{listURL, 2 * mebibyte, "status_unavailable"},
	} {
		f, body := newFakeIssuer(t), &endlessBody{}
		f.respondWith(one.url, func(*http.Request) (*http.Response, error) {
			response := answerOf(http.StatusOK, "")
			response.Body = body
			return response, nil
		})
		expect(t, f.verifier(), f.token(nil), one.wanted)
		if read := body.read.Load(); read > one.limit+1 {
			t.Errorf("%d bytes were read of %s", read, one.url)
		}
	}
}

func TestBodyOfTheMaximumSizeIsRead(t *testing.T) {
	f := newFakeIssuer(t)
	document := f.body(keysURL)
	for size, wanted := range map[int]string{
		mebibyte / 4: "accepted", mebibyte/4 + 1: "keys_unavailable",
	} {
		f.respondWith(keysURL, respond(http.StatusOK, document+strings.Repeat(" ", size-len(document))))
		expect(t, f.verifier(), f.token(nil), wanted)
	}
}

// body returns the body served at a URL.
func (f *fakeIssuer) body(url string) string {
	request := httptest.NewRequest(http.MethodGet, url, http.NoBody)
	body, err := io.ReadAll(f.answer(request).Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(body)
}

func TestCompressedBodyIsNotDecompressed(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "identity, gzip"} {
		f, body := newFakeIssuer(t), &endlessBody{}
		f.respondWith(keysURL, func(r *http.Request) (*http.Response, error) {
			if accepted := r.Header.Get("Accept-Encoding"); accepted != "identity" {
				t.Errorf("asks for %q", accepted)
			}
			response := answerOf(http.StatusOK, "")
			response.Header.Set("Content-Encoding", coding)
			response.Body = body
			return response, nil
		})
		expect(t, f.verifier(), f.token(nil), "keys_unavailable")
		if body.read.Load() > 0 {
			t.Errorf("%s was read", coding)
		}
	}
}

func TestOnlyACompleteResponseIsAccepted(t *testing.T) {
	for _, status := range []int{204, 206, 301, 304, 401, 404, 500, 503} {
		f := newFakeIssuer(t)
		f.respondWith(keysURL, respond(status, f.body(keysURL)))
		expect(t, f.verifier(), f.token(nil), "keys_unavailable")
	}
}

// The retry pause applies, and no token is refused while keys are cached.
func TestAnyErrorOfTheTransportIsAFailedFetch(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"error":      refuseConnection,
		"panic":      func(*http.Request) (*http.Response, error) { panic("a defect") },
		"broken off": truncatedBody,
	} {
		f := newFakeIssuer(t)
		v, token := f.verifier(), f.token(clientTokenClaims)
		expect(t, v, token, "accepted")
		f.Advance(5 * time.Minute)
		f.respondWith(keysURL, answer)
		for range 5 {
			expect(t, v, token, "accepted")
		}
		if fetches := f.fetches(keysURL); fetches != 2 {
			t.Errorf("%s: %d fetches", name, fetches)
		}
	}
}

func truncatedBody(*http.Request) (*http.Response, error) {
	response := answerOf(http.StatusOK, "")
	response.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"keys":[`), badReader{}))
	return response, nil
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) {
	return 0, io.ErrUnexpectedEOF
}

// Uses a real connection with the verifier's own client.
func TestSlowBodyTimesOut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}))
	defer server.Close()
	v, err := verifier.New(signettest.URL, signettest.Audience,
		verifier.WithBaseURL(server.URL), verifier.WithTimeout(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	token := signettest.NewIssuer(t).UserToken("ada")

	began := time.Now()
	expect(t, v, token, "keys_unavailable")
	if waited := time.Since(began); waited < 150*time.Millisecond || waited > 5*time.Second {
		t.Errorf("waited for %v", waited)
	}
}

// Uses the system's clock, the verifier's own client and a real connection.
func TestVerifierWorksWithDefaultSettings(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	server := httptest.NewServer(issuer)
	defer server.Close()
	v, err := verifier.New(signettest.URL, signettest.Audience, verifier.WithBaseURL(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, issuer.UserToken("ada"), "accepted")
}

// captureLog returns a buffer with a verifier's log lines, and the option that writes to it.
func captureLog(level slog.Level) (*bytes.Buffer, verifier.Option) {
	written := &bytes.Buffer{}
	handler := slog.NewTextHandler(written, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	})
	return written, verifier.WithLogger(slog.New(handler))
}

func TestFailedFetchIsLoggedOnce(t *testing.T) {
	f := newFakeIssuer(t)
	written, logged := captureLog(slog.LevelWarn)
	v := f.verifier(logged, verifier.WithBaseURL("https://ada:secret@id.example.test"))
	f.respondWith("https://ada:secret@id.example.test/.well-known/jwks.json", refuseConnection)
	for range 3 {
		expect(t, v, f.token(nil), "keys_unavailable")
	}
	const shown = "https://ada:xxxxx@id.example.test/.well-known/jwks.json"
	wanted := fmt.Sprintf("level=WARN msg=%q document=%s error=%q\n",
		"could not fetch "+shown+": connection refused", shown, "connection refused")
	if written.String() != wanted {
		t.Errorf("%s is not %s", written, wanted)
	}
}

func TestLogContainsTheRefusalReasonAndNoToken(t *testing.T) {
	f := newFakeIssuer(t)
	written, logged := captureLog(slog.LevelDebug)
	v := f.verifier(logged)
	expect(t, v, f.token(nil), "accepted")
	for _, token := range []string{
		f.tokenWithUnknownKey(1), f.token(claims{"iss": "https://stranger.test"}), f.token(claims{"client_id": 7}), "no-token",
	} {
		if _, err := v.Verify(context.Background(), token); err == nil {
			t.Error("accepted")
		}
	}
	wanted := `level=INFO msg="token not accepted: unknown_key" code=unknown_key
level=INFO msg="token not accepted: wrong_issuer" code=wrong_issuer
level=INFO msg="token not accepted: invalid_claim (client_id)" code=invalid_claim
level=INFO msg="token not accepted: malformed" code=malformed
`
	if written.String() != wanted {
		t.Errorf("%s is not %s", written, wanted)
	}
}

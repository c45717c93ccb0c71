package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// sharedMembers are the members that all cases of a file share (verifiers/vectors/README.md).
type sharedMembers struct {
	Issuer        string
	Audience      string
	Now           int64
	LeewaySeconds int64 `json:"leeway_seconds"`
	JWKS          json.RawMessage
}

type testCase struct {
	Name         string
	Token        string
	StatusLists  map[string]*string `json:"status_lists"`
	Now          *int64
	JWKS         json.RawMessage
	Issuer       string
	Audience     string
	AcceptTypJWT bool `json:"accept_typ_jwt"`
	Expect       map[string]any
}

// run runs a case as verifiers/vectors/README.md specifies, and returns the result in the format of
// expect.
func (f *sharedMembers) run(t *testing.T, one *testCase) map[string]any {
	t.Helper()
	v, err := New(orElse(one.Issuer, f.Issuer), orElse(one.Audience, f.Audience), f.options(one)...)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := v.Verify(context.Background(), one.Token)
	if err != nil {
		var refusal *Error
		if !errors.As(err, &refusal) {
			t.Fatalf("%T is no *Error", err)
		}
		return map[string]any{"error": string(refusal.Code)}
	}
	return map[string]any{
		"subject":    claims.Subject,
		"user_id":    nilIfExpected(one, "user_id", claims.UserID),
		"client_id":  claims.ClientID,
		"session_id": nilIfExpected(one, "session_id", claims.SessionID),
		"scope":      claims.Scope,
		"email":      nilIfExpected(one, "email", claims.Email),
		"token_id":   claims.TokenID,
		"issued_at":  float64(claims.IssuedAt.Unix()),
		"expires_at": float64(claims.ExpiresAt.Unix()),
		"auth_time":  secondsOrNil(claims.AuthTime),
	}
}

func (f *sharedMembers) options(one *testCase) []Option {
	now := f.Now
	if one.Now != nil {
		now = *one.Now
	}
	options := []Option{
		WithLeeway(time.Duration(f.LeewaySeconds) * time.Second),
		WithClock(func() time.Time { return time.Unix(now, 0) }),
		WithHTTPClient(&http.Client{Transport: f.transport(one)}),
		WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
	}
	if one.AcceptTypJWT {
		options = append(options, WithTypJWT())
	}
	return options
}

// transport serves the key set and the status lists of a case.
func (f *sharedMembers) transport(one *testCase) roundTripper {
	keySet := f.JWKS
	if one.JWKS != nil {
		keySet = one.JWKS
	}
	var literal string
	if json.Unmarshal(keySet, &literal) == nil && string(keySet) != "null" {
		keySet = []byte(literal)
	}
	return func(request *http.Request) (*http.Response, error) {
		recorder := httptest.NewRecorder()
		list := one.StatusLists[request.URL.String()]
		switch {
		case request.URL.String() == orElse(one.Issuer, f.Issuer)+"/.well-known/jwks.json":
			_, _ = recorder.Write(keySet)
		case list != nil:
			recorder.Header().Set("Content-Type", "application/statuslist+jwt")
			_, _ = recorder.WriteString(*list)
		default:
			recorder.WriteHeader(http.StatusNotFound)
		}
		return recorder.Result(), nil
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	return f(request)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// nilIfExpected returns nil for an empty claim that should be absent: Claims does not distinguish
// the two.
func nilIfExpected(one *testCase, name, found string) any {
	if found == "" && one.Expect[name] == nil {
		return nil
	}
	return found
}

func secondsOrNil(moment time.Time) any {
	if moment.IsZero() {
		return nil
	}
	return float64(moment.Unix())
}

package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"signet.dev/verifier/internal/strict"
)

// A family is what verifiers/vectors/README.md says that cases.json holds.
type family struct {
	Issuer        string
	Audience      string
	Now           int64
	LeewaySeconds int64 `json:"leeway_seconds"`
	JWKS          json.RawMessage
	Cases         []testCase
	Lists         []packedList
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

type packedList struct {
	Name     string
	Bits     int64
	Lst      string
	Size     int64
	Statuses map[int64]byte
}

func readFamily(t *testing.T) *family {
	t.Helper()
	document, err := os.ReadFile("../vectors/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var found family
	if err := json.Unmarshal(document, &found); err != nil {
		t.Fatal(err)
	}
	return &found
}

func TestEveryCaseOfTheFamilyComesOutAsItSays(t *testing.T) {
	all := readFamily(t)
	if len(all.Cases) < 1000 {
		t.Fatalf("there are only %d cases", len(all.Cases))
	}
	for _, one := range all.Cases {
		t.Run(one.Name, func(t *testing.T) {
			wanted := one.Expect
			if code, isError := wanted["error"]; isError {
				wanted = map[string]any{"error": code}
			}
			if found := all.run(t, &one); !reflect.DeepEqual(found, wanted) {
				t.Errorf("found %v, not %v", found, wanted)
			}
		})
	}
}

// run does as verifiers/vectors/README.md says, and returns what the token says as it is written
// there.
func (f *family) run(t *testing.T, one *testCase) map[string]any {
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
		"user_id":    wantedForEmpty(one, "user_id", claims.UserID),
		"client_id":  claims.ClientID,
		"session_id": wantedForEmpty(one, "session_id", claims.SessionID),
		"scope":      claims.Scope,
		"email":      wantedForEmpty(one, "email", claims.Email),
		"token_id":   claims.TokenID,
		"issued_at":  float64(claims.IssuedAt.Unix()),
		"expires_at": float64(claims.ExpiresAt.Unix()),
		"auth_time":  secondsOrNil(claims.AuthTime),
	}
}

func (f *family) options(one *testCase) []Option {
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
func (f *family) transport(one *testCase) roundTripper {
	keySet := f.JWKS
	if one.JWKS != nil {
		keySet = one.JWKS
	}
	var asItIs string
	if json.Unmarshal(keySet, &asItIs) == nil && string(keySet) != "null" {
		keySet = []byte(asItIs)
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

// wantedForEmpty: Go has one word for an absent claim and an empty one.
func wantedForEmpty(one *testCase, name, found string) any {
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

func TestTheListsOfTheDraftUnpack(t *testing.T) {
	lists := readFamily(t).Lists
	if len(lists) != 6 {
		t.Fatalf("there are %d lists", len(lists))
	}
	for _, one := range lists {
		t.Run(one.Name, func(t *testing.T) {
			document, err := json.Marshal(map[string]any{"bits": one.Bits, "lst": one.Lst})
			if err != nil {
				t.Fatal(err)
			}
			claim, err := strict.ParseObject(document)
			if err != nil {
				t.Fatal(err)
			}
			var list statusList
			if err := list.unpack(claim); err != nil {
				t.Fatal(err)
			}
			for index := range one.Size {
				if status, inList := list.at(index); !inList || status != one.Statuses[index] {
					t.Fatalf("at %d: %d, %t", index, status, inList)
				}
			}
			if _, inList := list.at(one.Size); inList {
				t.Error("the list has no end")
			}
		})
	}
}

func TestAnErrorRepeatsNothingOfAToken(t *testing.T) {
	all := readFamily(t)
	for _, one := range all.Cases {
		v, err := New(all.Issuer, all.Audience, all.options(&one)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(context.Background(), one.Token); err != nil {
			for _, part := range strings.Split(one.Token, ".") {
				if len(part) > 20 && strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v", one.Name, err)
				}
			}
		}
	}
}

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"signet.dev/verifier"
)

func TestTypJWTIsAcceptedOnlyIfEnabled(t *testing.T) {
	f := newFakeIssuer(t)
	token := f.Sign(claims{"typ": "JWT"}, f.allClaims(nil))

	expect(t, f.verifier(), token, "wrong_type")
	accepting := f.verifier(verifier.WithTypJWT())
	expect(t, accepting, token, "accepted")
	expect(t, accepting, f.token(nil), "accepted")
	f.revoke(3)
	f.Advance(10 * time.Second)
	expect(t, accepting, token, "revoked")
}

func TestWithTypJWTAnIDTokenIsRefusedByItsClaims(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier(verifier.WithTypJWT())
	for _, name := range []string{"client_id", "jti", "scope"} {
		_, err := v.Verify(context.Background(), f.Sign(claims{"typ": "JWT"}, f.allClaims(claims{name: nil})))
		var refusal *verifier.Error
		if !errors.As(err, &refusal) || refusal.Code != verifier.ErrInvalidClaim || refusal.Claim != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"nonce", "at_hash"} {
		has := claims{name: "AAAA"}
		expect(t, v, f.Sign(claims{"typ": "JWT"}, f.allClaims(has)), "wrong_type")
		expect(t, v, f.token(has), "accepted")
	}
}

func TestErrorsMatchByCodeAndKind(t *testing.T) {
	f := newFakeIssuer(t)
	v := f.verifier()
	f.revoke(3)
	_, revoked := v.Verify(context.Background(), f.token(nil))
	_, claimless := v.Verify(context.Background(), f.token(claims{"sub": 7}))

	if !errors.Is(revoked, verifier.ErrRevoked) || !errors.Is(revoked, verifier.ErrRefused) ||
		errors.Is(revoked, verifier.ErrExpired) || errors.Is(revoked, verifier.ErrUnavailable) {
		t.Error(revoked)
	}
	if claimless.Error() != "invalid_claim (sub)" || !errors.Is(claimless, verifier.ErrInvalidClaim) {
		t.Error(claimless)
	}
}

// The error of a list must not be reported as the error of a token.
func TestRefusedListIsNotReportedAsARefusedToken(t *testing.T) {
	f := newFakeIssuer(t)
	f.list = claims{"exp": 1}
	_, err := f.verifier().Verify(context.Background(), f.token(nil))
	var known *verifier.Error
	if !errors.As(err, &known) || known.Cause == nil || known.Cause.Error() != "expired" {
		t.Error(known)
	}
	if !errors.Is(err, verifier.ErrStatusUnavailable) ||
		errors.Is(err, verifier.ErrRefused) || errors.Is(err, verifier.ErrExpired) {
		t.Error(err)
	}
}

func TestClaimsAreLoggedWithoutTheEmailAddress(t *testing.T) {
	f := newFakeIssuer(t)
	token, err := f.verifier().Verify(context.Background(), f.token(claims{"email": "ada@example.test"}))
	if err != nil || token.Email != "ada@example.test" {
		t.Fatal(err)
	}
	var written strings.Builder
	slog.New(slog.NewTextHandler(&written, nil)).Info("served", "token", token)
	for _, verb := range []string{"%v", "%+v", "%s"} {
		fmt.Fprintf(&written, verb+verb, token, *token)
	}
	if strings.Contains(written.String(), "ada@") || !strings.Contains(written.String(), "token.sub="+user) {
		t.Error(written.String())
	}
}

func TestClientTokenBelongsToNoUser(t *testing.T) {
	f := newFakeIssuer(t)
	token, err := f.verifier().Verify(context.Background(), f.ClientToken("reporting", "tasks:read"))
	if err != nil {
		t.Fatal(err)
	}
	if token.IsUser("reporting") || token.IsUser("") || !token.HasScope("tasks:read") {
		t.Error(token)
	}
	var none *verifier.Claims
	if none.IsUser("") || none.HasScope() || token.HasScope("") || token.HasScope("tasks:read", "tasks") {
		t.Error("a missing user or scope was found")
	}
}

// A token with any change is never accepted.
func TestMutatedTokenIsRefused(t *testing.T) {
	f := newFakeIssuer(t)
	v, valid := f.verifier(), f.token(nil)
	pieces := []string{".", "=", "_", "-", "+", "/", "A", "Z", "a", "0", `"`, "{", "}", "\n", "\x00", "é", "\xff"}
	numbers := rand.New(rand.NewPCG(0x5169_6E65, 0x7421))
	for range 5000 {
		mutated := valid
		for range 1 + numbers.IntN(4) {
			at := numbers.IntN(len(mutated))
			end := min(len(mutated), at+numbers.IntN(20))
			piece := pieces[numbers.IntN(len(pieces))]
			switch numbers.IntN(4) {
			case 0:
				mutated = mutated[:at] + piece + mutated[at+1:]
			case 1:
				mutated = mutated[:at] + piece + mutated[at:]
			case 2:
				mutated = mutated[:at] + mutated[end:]
			default:
				mutated = mutated[:at] + mutated[at:end] + mutated[at:]
			}
		}
		if mutated != valid && outcome(v, mutated) == "accepted" {
			t.Fatal(mutated)
		}
	}
}

func TestWorstCaseTokensAreRefusedQuickly(t *testing.T) {
	const longest = 6000
	f := newFakeIssuer(t)
	v := f.verifier()
	expect(t, v, f.token(nil), "accepted")
	var names strings.Builder
	for number := range 700 {
		fmt.Fprintf(&names, `"%d":0,`, number)
	}
	tokens := []string{
		strings.Repeat(".", 8192), strings.Repeat("a", mebibyte), strings.Repeat(".", mebibyte),
		strings.Repeat("é", mebibyte),
	}
	for _, header := range []string{
		strings.Repeat("[", longest),
		strings.Repeat(`{"a":`, longest/5),
		`{"a":` + strings.Repeat("[", 2900) + strings.Repeat("]", 2900) + "}",
		`{"a":` + strings.Repeat("9", longest-20) + "}",
		"{" + strings.TrimSuffix(names.String(), ",") + "}",
		`{"a":"` + strings.Repeat(`\u0041`, longest/6-10) + `"}`,
	} {
		tokens = append(tokens, encode(header)+"."+encode("{}")+".AAAA")
	}
	for _, token := range tokens {
		quickest := time.Hour
		for range 5 {
			began := time.Now()
			expect(t, v, token, "malformed")
			quickest = min(quickest, time.Since(began))
		}
		if quickest > 20*time.Millisecond {
			t.Errorf("%.20s: %v", token, quickest)
		}
	}
}

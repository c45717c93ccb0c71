package signettest_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

func expect(t *testing.T, v *verifier.Verifier, token string, wanted error) {
	t.Helper()
	if _, err := v.Verify(context.Background(), token); !errors.Is(err, wanted) {
		t.Fatalf("found %v, not %v", err, wanted)
	}
}

func TestLogoutTakesEffectAfterTheTTL(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	v, token, other := issuer.Verifier(), issuer.UserToken("ada"), issuer.UserToken("bob")
	expect(t, v, token, nil)

	issuer.LogOut(token)
	expect(t, v, other, nil)
	issuer.Advance(signettest.StatusTTL)

	expect(t, v, token, verifier.ErrRevoked)
	expect(t, v, other, nil)
}

func TestManyTokensHaveEntriesInTheCachedList(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	v, token := issuer.Verifier(), issuer.UserToken("ada")
	expect(t, v, token, nil)

	for range 300 {
		token = issuer.UserToken("ada")
		expect(t, v, token, nil)
	}
	issuer.LogOut(token)
	issuer.Advance(signettest.StatusTTL)

	expect(t, v, token, verifier.ErrRevoked)
}

func TestRotationRefusesNoToken(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	v, old := issuer.Verifier(), issuer.UserToken("ada")
	expect(t, v, old, nil)
	issuer.Rotate()
	issuer.Advance(signettest.KeysMaxAge)
	expect(t, v, old, nil)
	expect(t, v, issuer.UserToken("ada"), nil)

	issuer.Withdraw()
	issuer.Advance(signettest.KeysMaxAge)
	expect(t, v, old, verifier.ErrUnknownKey)
	if keys, lists := issuer.Fetches(); keys != 3 || lists != 2 {
		t.Error(keys, lists)
	}
}

func TestUnreachableIssuer(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	v, token := issuer.Verifier(), issuer.UserToken("ada")
	issuer.SetAway(true)
	expect(t, v, token, verifier.ErrKeysUnavailable)
	issuer.SetAway(false)
	issuer.Advance(signettest.StatusTTL)
	expect(t, v, token, nil)
}

func TestTokensHaveTheRequestedClaims(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	v := issuer.Verifier()
	users, err := v.Verify(context.Background(), issuer.UserToken("ada", "tasks:read", "profile"))
	if err != nil || !users.IsUser("ada") || !users.HasScope("tasks:read", "profile") {
		t.Error(users, err)
	}
	clients, err := v.Verify(context.Background(), issuer.ClientToken("reporting"))
	if err != nil || clients.UserID != "" || clients.Subject != "reporting" {
		t.Error(clients, err)
	}
	expect(t, v, issuer.Token(signettest.Claims{"aud": "another"}), verifier.ErrWrongAudience)
	expect(t, v, issuer.Sign(signettest.Claims{"typ": "JWT"}, nil), verifier.ErrWrongType)
}

func TestIssuerIsReachableOverHTTP(t *testing.T) {
	issuer := signettest.NewIssuer(t)
	server := httptest.NewServer(issuer)
	defer server.Close()
	v, err := verifier.New(signettest.URL, signettest.Audience, verifier.WithBaseURL(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, v, issuer.UserToken("ada"), nil)
}

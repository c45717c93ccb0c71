package verifier_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"signet.dev/verifier/signettest"
)

// rounds and checks: in each round both run for as long, one after the other, so that a slow moment
// of the machine meets both.
const rounds, checks = 1001, 25

// BenchmarkWarm compares a whole check, keys and status list at hand, with the bare signature check of
// crypto/rsa and its hash. Run it with
//
//	go test -run '^$' -bench Warm -benchtime 1x
//
// ns/op is of no use here; the other figures are medians, the quartiles of the ratio, and what the
// quickest twentieth of the rounds took, which a busy machine disturbs least.
func BenchmarkWarm(b *testing.B) {
	issuer := signettest.NewIssuer(b)
	token := issuer.Token(signettest.Claims{"scope": "openid tasks:read tasks:write"})
	v, bare := issuer.Verifier(), bareCheck(b, issuer, token)
	whole := func() {
		if _, err := v.Verify(context.Background(), token); err != nil {
			b.Fatal(err)
		}
	}
	var bares, wholes, ratios []float64
	for range b.N {
		for round := range rounds {
			if round%2 == 0 { // neither always goes first
				bares = append(bares, microseconds(bare))
				wholes = append(wholes, microseconds(whole))
			} else {
				wholes = append(wholes, microseconds(whole))
				bares = append(bares, microseconds(bare))
			}
		}
	}
	for i := range bares {
		ratios = append(ratios, wholes[i]/bares[i])
	}
	report := func(values []float64, part float64, unit string) {
		slices.Sort(values)
		b.ReportMetric(values[int(part*float64(len(values)))], unit)
	}
	report(bares, 0.5, "µs/bare")
	report(bares, 0.05, "µs/bare-quick")
	report(wholes, 0.5, "µs/whole")
	report(wholes, 0.05, "µs/whole-quick")
	report(ratios, 0.25, "ratio-lower")
	report(ratios, 0.5, "ratio")
	report(ratios, 0.75, "ratio-upper")
	b.ReportMetric(float64(len(token)), "bytes/token")
}

// BenchmarkVerify is a whole check alone, on one core and on all.
func BenchmarkVerify(b *testing.B) {
	issuer := signettest.NewIssuer(b)
	token, v := issuer.UserToken("user-1"), issuer.Verifier()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(context.Background(), token); err != nil {
				b.Error(err)
			}
		}
	})
}

func microseconds(check func()) float64 {
	began := time.Now()
	for range checks {
		check()
	}
	return float64(time.Since(began).Nanoseconds()) / 1000 / checks
}

func bareCheck(b *testing.B, issuer *signettest.Issuer, token string) func() {
	b.Helper()
	key := publishedKey(b, issuer)
	end := strings.LastIndexByte(token, '.')
	signed := []byte(token[:end])
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		digest := sha256.Sum256(signed)
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

func publishedKey(b *testing.B, issuer *signettest.Issuer) *rsa.PublicKey {
	b.Helper()
	recorder := httptest.NewRecorder()
	address := signettest.URL + "/.well-known/jwks.json"
	issuer.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, address, http.NoBody))
	var set struct{ Keys []struct{ N string } }
	if err := json.Unmarshal(recorder.Body.Bytes(), &set); err != nil || len(set.Keys) != 1 {
		b.Fatal(fmt.Errorf("%d keys: %w", len(set.Keys), err))
	}
	modulus, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		b.Fatal(err)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
}

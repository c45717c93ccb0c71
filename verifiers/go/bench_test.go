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

// In each round both contestants run the same number of checks, one after the other, so that a slow
// period of the machine affects both.
const rounds, checks = 1001, 25

// BenchmarkWarm compares a complete check, with cached keys and status list, with the bare
// signature check of crypto/rsa and its hash. Run it with
//
//	go test -run '^$' -bench Warm -benchtime 1x
//
// ns/op is meaningless here. The other figures are medians, the quartiles of the ratio, and the
// time of the quickest twentieth of the rounds, which a busy machine affects least.
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
			if round%2 == 0 { // alternates which one runs first
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

// BenchmarkVerify measures a complete check on all cores.
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
	keysURL := signettest.URL + "/.well-known/jwks.json"
	issuer.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, keysURL, http.NoBody))
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

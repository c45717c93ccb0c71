package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	keys := oidc.NewRemoteKeySet(context.Background(), issuer+"/.well-known/jwks.json")
	verifier := oidc.NewVerifier(issuer, keys, &oidc.Config{
		ClientID:             audience, // compared with aud
		SupportedSigningAlgs: []string{oidc.RS256},
		Now:                  func() time.Time { return time.Now().Add(-30 * time.Second) }, // leeway for exp
	})
	http.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := verify(r.Context(), verifier, bearer)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, token.Subject)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

// go-oidc does not check typ. It would accept an ID token whose client id equals the audience.
func verify(ctx context.Context, verifier *oidc.IDTokenVerifier, bearer string) (*oidc.IDToken, error) {
	parsed, err := jose.ParseSignedCompact(bearer, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, err
	}
	if parsed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	return verifier.Verify(ctx, bearer)
}

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

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	keys, err := keySet(context.Background(), issuer+"/.well-known/jwks.json")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		subject, err := verify([]byte(bearer), keys, issuer, audience)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, subject)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

// The cache fetches in the background, by default at most every 15 minutes, even after a failure.
func keySet(ctx context.Context, url string) (jwk.Set, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	err = cache.Register(ctx, url,
		jwk.WithMinInterval(time.Minute),
		jwk.WithConstantInterval(time.Minute),
		jwk.WithWaitReady(false),
	)
	if err != nil {
		return nil, err
	}
	return cache.CachedSet(url)
}

func verify(bearer []byte, keys jwk.Set, issuer, audience string) (string, error) {
	message, err := jws.Parse(bearer, jws.WithCompact())
	if err != nil {
		return "", err
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if typ, _ := header.Type(); typ != "at+jwt" {
		return "", errors.New("not an access token")
	}
	if alg, _ := header.Algorithm(); alg != jwa.RS256() {
		return "", errors.New("not RS256")
	}
	token, err := jwt.Parse(bearer,
		jwt.WithKeySet(keys),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithRequiredClaim(jwt.ExpirationKey),
		jwt.WithAcceptableSkew(30*time.Second),
	)
	if err != nil {
		return "", err
	}
	subject, _ := token.Subject()
	return subject, nil
}

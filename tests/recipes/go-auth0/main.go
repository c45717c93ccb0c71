package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	issuerURL, err := url.Parse(issuer)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuerURL))
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := validator.New(
		validator.WithKeyFunc(keys.KeyFunc),
		validator.WithAlgorithm(validator.RS256),
		validator.WithIssuer(issuer), // without a final slash
		validator.WithAudience(audience),
		validator.WithAllowedClockSkew(30*time.Second),
		validator.WithCustomClaims(func() *accessToken { return new(accessToken) }),
	)
	if err != nil {
		log.Fatal(err)
	}
	middleware, err := jwtmiddleware.New(jwtmiddleware.WithValidator(tokens))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /whoami", middleware.CheckJWT(http.HandlerFunc(whoami)))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

// The library does not expose typ. Unlike an access token, an ID token has no client_id.
type accessToken struct {
	ClientID string `json:"client_id"`
}

func (t *accessToken) Validate(context.Context) error {
	if t.ClientID == "" {
		return errors.New("not an access token")
	}
	return nil
}

func whoami(w http.ResponseWriter, r *http.Request) {
	claims, err := jwtmiddleware.GetClaims[*validator.ValidatedClaims](r.Context())
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	fmt.Fprintln(w, claims.RegisteredClaims.Subject)
}

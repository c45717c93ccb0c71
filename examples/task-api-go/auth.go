package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"signet.dev/verifier"
)

// newVerifier returns a verifier of Signet's access tokens, of the package in verifiers/go.
func newVerifier() (*verifier.Verifier, error) {
	issuer := os.Getenv("SIGNET_ISSUER")
	leeway, err := seconds("TOKEN_LEEWAY_SECONDS")
	if err != nil {
		return nil, err
	}
	cooldown, err := seconds("JWKS_COOLDOWN_SECONDS")
	if err != nil {
		return nil, err
	}
	return verifier.New(issuer, os.Getenv("SIGNET_AUDIENCE"),
		verifier.WithBaseURL(setting("SIGNET_URL", issuer)),
		verifier.WithLeeway(leeway),
		verifier.WithCooldown(cooldown),
		verifier.WithRefusalHandler(writeRefusal),
	)
}

// ownerOnly allows a route only to the user in its path. A client credentials token is rejected.
func ownerOnly(v *verifier.Verifier, route http.HandlerFunc) http.Handler {
	return v.Middleware(verifier.RequireUser("user_id")(route))
}

// writeRefusal writes rejections in this service's error format.
func writeRefusal(w http.ResponseWriter, r *http.Request, refusal *verifier.Refusal) {
	for name, values := range refusal.Header {
		w.Header()[name] = values
	}
	code := map[int]string{
		http.StatusUnauthorized:       "UNAUTHORIZED",
		http.StatusForbidden:          "FORBIDDEN",
		http.StatusServiceUnavailable: "TEMPORARILY_UNAVAILABLE",
	}[refusal.Status]
	writeError(w, r, refusal.Status, code, refusal.Description, "")
}

func seconds(name string) (time.Duration, error) {
	count, err := strconv.ParseFloat(setting(name, "30"), 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return time.Duration(count * float64(time.Second)), nil
}

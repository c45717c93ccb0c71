package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"signet.dev/verifier"
)

// newVerifier checks who is calling: Signet's access tokens, with the package of verifiers/go and with
// nothing else.
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
		verifier.WithRefusalHandler(refuse),
	)
}

// owned has a route served to the user in its path alone. A client's own token never gets there.
func owned(v *verifier.Verifier, route http.HandlerFunc) http.Handler {
	return v.Middleware(verifier.RequireUser("user_id")(route))
}

// refuse has refusals use this service's envelope.
func refuse(w http.ResponseWriter, r *http.Request, refusal *verifier.Refusal) {
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

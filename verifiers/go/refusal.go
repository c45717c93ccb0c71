package verifier

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// retryAfter is in seconds: the pause after a failed fetch.
const retryAfter = "5"

// A Refusal is the response to a refused request (RFC 6750 section 3). It does not tell the caller
// which check a token failed; your log and Err do.
type Refusal struct {
	// Status is 401, 403 or 503, or 500 for an error of another package.
	Status int
	// Header has WWW-Authenticate or Retry-After, if the response needs one.
	Header http.Header
	// Code is the member error of the body, such as invalid_token.
	Code string
	// Description is the member error_description of the body, a sentence.
	Description string
	// Err is the reason, for your log only.
	Err error
}

// RefusalOf returns the response for an error of this package. For any other error it is 500.
func RefusalOf(err error) *Refusal {
	var missing *MissingScopeError
	switch {
	case errors.Is(err, ErrNoToken):
		return challenge(http.StatusUnauthorized, "Bearer",
			"invalid_request", "The request needs an access token", err)
	case errors.As(err, &missing):
		scope := strings.Join(missing.Scopes, " ")
		return challenge(http.StatusForbidden, `Bearer error="insufficient_scope", scope="`+scope+`"`,
			"insufficient_scope", "The access token does not cover this request", err)
	case errors.Is(err, ErrForeignUser):
		return &Refusal{http.StatusForbidden, http.Header{},
			"forbidden", "This belongs to another user", err}
	case errors.Is(err, ErrUnavailable):
		return &Refusal{http.StatusServiceUnavailable, http.Header{"Retry-After": {retryAfter}},
			"temporarily_unavailable", "Access tokens cannot be checked right now", err}
	case errors.Is(err, ErrRefused):
		return challenge(http.StatusUnauthorized, `Bearer error="invalid_token"`,
			"invalid_token", "The access token is not valid", err)
	default:
		return &Refusal{http.StatusInternalServerError, http.Header{},
			"server_error", "Something went wrong", err}
	}
}

func challenge(status int, challenge, code, description string, err error) *Refusal {
	header := http.Header{"Www-Authenticate": {challenge}}
	return &Refusal{status, header, code, description, err}
}

// Write sends the response, with a body in JSON.
func (f *Refusal) Write(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]string{
		"error":             f.Code,
		"error_description": f.Description,
	})
	if err != nil { // two strings are always JSON
		panic(err)
	}
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = w.Write(body) // fails only if the client has disconnected
}

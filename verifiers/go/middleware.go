package verifier

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// scopeToken is the syntax of a scope (RFC 6749 section 3.3), which is safe inside a quoted string
// of a challenge.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

// A guard is the value that the middleware stores in the context of a request.
type guard struct {
	claims  *Claims
	refusal func(http.ResponseWriter, *http.Request, *Refusal)
}

type guardKey struct{}

// Middleware forwards requests with a valid access token, and refuses all others. Apply CORS
// middleware outside of it: a preflight request has no token.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := v.VerifyRequest(r)
		if err != nil {
			v.config.refusal(w, r, RefusalOf(err))
			return
		}
		guard := &guard{claims, v.config.refusal}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), guardKey{}, guard)))
	})
}

// VerifyRequest checks the token of a request's Authorization header, for frameworks with another
// kind of middleware. The error is [ErrNoToken] or an [*Error]; [RefusalOf] returns the response.
func (v *Verifier) VerifyRequest(r *http.Request) (*Claims, error) {
	token, err := bearerToken(r.Header)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), token)
}

// FromContext returns the claims of a request that [Verifier.Middleware] forwarded, and nil for any
// other.
func FromContext(ctx context.Context) *Claims {
	if guard, ok := ctx.Value(guardKey{}).(*guard); ok {
		return guard.claims
	}
	return nil
}

// NewContext returns a context with these claims for [FromContext], for tests of handlers.
func NewContext(ctx context.Context, claims *Claims) context.Context {
	answer := func(w http.ResponseWriter, _ *http.Request, refusal *Refusal) { refusal.Write(w) }
	return context.WithValue(ctx, guardKey{}, &guard{claims, answer})
}

// RequireScope returns middleware that requires a token with all these scopes. Apply it inside of
// [Verifier.Middleware]; otherwise every request gets 500.
//
// It panics if a scope has invalid syntax.
func RequireScope(scopes ...string) func(http.Handler) http.Handler {
	for _, scope := range scopes {
		if !scopeToken.MatchString(scope) {
			panic("signet verifier: not a scope: " + strconv.Quote(scope))
		}
	}
	return require(func(claims *Claims, _ *http.Request) error {
		if !claims.HasScope(scopes...) {
			return &MissingScopeError{scopes}
		}
		return nil
	})
}

// RequireUser returns middleware that requires a token of the user in this wildcard of the path,
// for example "user_id" in "GET /users/{user_id}/tasks". Apply it inside of [Verifier.Middleware];
// otherwise every request gets 500. On a route without the wildcard every request is refused.
func RequireUser(wildcard string) func(http.Handler) http.Handler {
	return require(func(claims *Claims, r *http.Request) error {
		if !claims.IsUser(r.PathValue(wildcard)) {
			return ErrForeignUser
		}
		return nil
	})
}

func require(check func(*Claims, *http.Request) error) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			guard, ok := r.Context().Value(guardKey{}).(*guard)
			if !ok { // an unprotected route must not be served by accident
				slog.ErrorContext(r.Context(), "signet verifier: a route is not inside of Middleware")
				http.Error(w, "Something went wrong", http.StatusInternalServerError)
				return
			}
			if err := check(guard.claims, r); err != nil {
				guard.refusal(w, r, RefusalOf(err))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bearerToken returns the token of the Authorization header (RFC 6750 section 2.1). No other
// location is read. Several headers are joined with commas, as HTTP defines; the result is never a
// valid token.
func bearerToken(header http.Header) (string, error) {
	values := strings.Join(header.Values("Authorization"), ", ")
	scheme, token, _ := strings.Cut(strings.Trim(values, " \t"), " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", ErrNoToken
	}
	return token, nil
}

package verifier

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// scopeToken is what a scope is made of (RFC 6749 section 3.3), and so what may stand between the
// quotes of a challenge.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

// A guard is what the middleware leaves in the context of a request.
type guard struct {
	claims  *Claims
	refusal func(http.ResponseWriter, *http.Request, *Refusal)
}

type guardKey struct{}

// Middleware passes on requests with a valid access token, and answers all others. CORS belongs
// outside of it: a preflight has no token.
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

// VerifyRequest checks the token of a request's Authorization header: for frameworks that have
// middleware of another kind. The error is [ErrNoToken] or an [*Error]; [RefusalOf] answers both.
func (v *Verifier) VerifyRequest(r *http.Request) (*Claims, error) {
	token, err := bearerToken(r.Header)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), token)
}

// FromContext returns the claims of a request that came through [Verifier.Middleware], and nil for
// any other.
func FromContext(ctx context.Context) *Claims {
	if guard, ok := ctx.Value(guardKey{}).(*guard); ok {
		return guard.claims
	}
	return nil
}

// NewContext returns a context in which [FromContext] finds these claims: for tests of handlers.
func NewContext(ctx context.Context, claims *Claims) context.Context {
	answer := func(w http.ResponseWriter, _ *http.Request, refusal *Refusal) { refusal.Write(w) }
	return context.WithValue(ctx, guardKey{}, &guard{claims, answer})
}

// RequireScope makes middleware that passes on requests whose token has all these scopes. It belongs
// inside of [Verifier.Middleware]; elsewhere, every request is answered 500.
//
// It panics at a scope that no token can have.
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

// RequireUser makes middleware that passes on requests whose token is of the user that the path names
// in this wildcard: of "GET /users/{user_id}/tasks", "user_id". It belongs inside of
// [Verifier.Middleware]; elsewhere, every request is answered 500. A route without the wildcard is
// nobody's.
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
			if !ok { // a route without a guard must not be served by accident
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

// bearerToken returns the token of the Authorization header, the only place where it is looked for
// (RFC 6750 section 2.1). Several are read as one, as HTTP has it, and then hold no token that could
// be accepted.
func bearerToken(header http.Header) (string, error) {
	values := strings.Join(header.Values("Authorization"), ", ")
	scheme, token, _ := strings.Cut(strings.Trim(values, " \t"), " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", ErrNoToken
	}
	return token, nil
}

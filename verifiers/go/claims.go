package verifier

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Claims are the claims of an access token that passed every check. They contain no secret, because
// the token itself is not stored.
type Claims struct {
	// Subject is sub: the account, or the client itself for client credentials.
	Subject string
	// UserID is user_id: the user whose token it is; empty for a client credentials token.
	UserID string
	// ClientID is client_id: the client that requested the token (RFC 9068 section 2.2).
	ClientID string
	// SessionID is sid: the session for which the token was issued; empty if there is none.
	SessionID string
	// Scope is scope: values separated by spaces, empty if the claim is absent.
	Scope string
	// Email is the email address at the time of issue. It may change: do not identify users by it.
	Email string
	// TokenID is jti: unique to this token.
	TokenID string
	// IssuedAt is iat.
	IssuedAt time.Time
	// ExpiresAt is exp; the leeway is not added.
	ExpiresAt time.Time
	// AuthTime is auth_time: when the user last entered the password (RFC 9068 section 2.2.1); the
	// zero time if the claim is absent.
	AuthTime time.Time
}

// IsUser reports whether this is a token of this user, compared byte for byte. A client credentials
// token belongs to no user.
func (c *Claims) IsUser(userID string) bool {
	return c != nil && c.UserID != "" && c.UserID == userID
}

// HasScope reports whether the scope lists all of these values (RFC 6749 section 3.3). It returns
// true if no value is given, and false if a value is empty.
func (c *Claims) HasScope(scopes ...string) bool {
	if c == nil {
		return false
	}
	listed := strings.Split(c.Scope, " ")
	for _, scope := range scopes {
		if scope == "" || !slices.Contains(listed, scope) {
			return false
		}
	}
	return true
}

// String omits the email address, because printed values may be logged.
func (c Claims) String() string {
	return "access token " + c.TokenID + " of " + c.Subject
}

// LogValue omits the email address.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("sub", c.Subject),
		slog.String("client_id", c.ClientID),
		slog.String("sid", c.SessionID),
		slog.String("scope", c.Scope),
		slog.String("jti", c.TokenID),
	)
}

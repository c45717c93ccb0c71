package verifier

import (
	"strings"
	"time"

	"signet.dev/verifier/internal/strict"
)

// rules are the expected values of an access token.
type rules struct {
	issuer   string
	audience string
	leeway   time.Duration
}

// A statusReference is the location of a token's status (draft-ietf-oauth-status-list section 6.1).
// The zero value means that the token has none.
type statusReference struct {
	uri   string
	index int64
}

// A payload reads claims and records the first error. Claims that are read after an error are not
// used. null does not count as absent.
type payload struct {
	claims strict.Value
	err    error
}

func (p *payload) refuse(err error) {
	if p.err == nil {
		p.err = err
	}
}

// optionalText reads a string that may be empty or absent.
func (p *payload) optionalText(name string) string {
	value := p.claims.Get(name)
	text, ok := value.Text()
	if value != nil && !ok {
		p.refuse(invalid(name))
	}
	return text
}

// text reads a string that must not be empty.
func (p *payload) text(name string) string {
	text := p.optionalText(name)
	if text == "" {
		p.refuse(invalid(name))
	}
	return text
}

// optionalSeconds reads a NumericDate in whole seconds. Fractions are refused because readers may
// round differently. The zero time means that the claim is absent.
func (p *payload) optionalSeconds(name string) time.Time {
	if !p.claims.Has(name) {
		return time.Time{}
	}
	return p.seconds(name)
}

func (p *payload) seconds(name string) time.Time {
	seconds, ok := p.claims.Get(name).Whole()
	if !ok {
		p.refuse(invalid(name))
	}
	return time.Unix(seconds, 0)
}

// checkNoIDToken distinguishes an access token from an ID token by its claims, if typ does not.
// Signet's ID tokens lack client_id, jti and scope, and have at_hash and usually nonce (OpenID
// Connect Core sections 2, 3.1.3.6; RFC 8725 section 3.12).
func checkNoIDToken(claims strict.Value) error {
	if claims.Has("nonce") || claims.Has("at_hash") {
		return refuse(ErrWrongType)
	}
	for _, name := range []string{"client_id", "jti", "scope"} {
		if _, ok := claims.Get(name).Text(); !ok {
			return invalid(name)
		}
	}
	return nil
}

// checkClaims checks all claims except the status, in the order that verifiers/README.md specifies.
func checkClaims(claims strict.Value, rules *rules, now time.Time) (*Claims, statusReference, error) {
	p := payload{claims: claims}
	if p.text("iss") != rules.issuer {
		p.refuse(refuse(ErrWrongIssuer))
	}
	p.checkAudience(rules.audience)
	found := &Claims{ExpiresAt: p.seconds("exp")}
	if !now.Before(found.ExpiresAt.Add(rules.leeway)) {
		p.refuse(refuse(ErrExpired))
	}
	latestStart := now.Add(rules.leeway)
	found.IssuedAt = p.seconds("iat")
	if found.IssuedAt.After(latestStart) || p.optionalSeconds("nbf").After(latestStart) {
		p.refuse(refuse(ErrNotYetValid))
	}
	found.Subject = p.text("sub")
	found.UserID = p.optionalText("user_id")
	if claims.Has("user_id") && found.UserID != found.Subject {
		p.refuse(invalid("user_id"))
	}
	found.ClientID = p.text("client_id")
	found.SessionID = p.optionalText("sid")
	found.Scope = p.optionalText("scope")
	found.Email = p.optionalText("email")
	found.TokenID = p.text("jti")
	found.AuthTime = p.optionalSeconds("auth_time")
	status := p.status(rules.issuer)
	if p.err != nil {
		return nil, statusReference{}, p.err
	}
	return found, status, nil
}

// checkAudience: aud is a string or a list of strings (RFC 7519 section 4.1.3).
func (p *payload) checkAudience(audience string) {
	named := p.claims.Get("aud")
	_, isText := named.Text()
	if !isText && !named.IsList() {
		p.refuse(invalid("aud"))
	}
	isNamed := named.Is(audience)
	for one := range named.Items() {
		if _, isText := one.Text(); !isText {
			p.refuse(invalid("aud"))
		}
		isNamed = isNamed || one.Is(audience)
	}
	if !isNamed {
		p.refuse(refuse(ErrWrongAudience))
	}
}

func (p *payload) status(issuer string) statusReference {
	if !p.claims.Has("status") {
		return statusReference{}
	}
	list := p.claims.Get("status").Get("status_list")
	index, isWhole := list.Get("idx").Whole()
	uri, _ := list.Get("uri").Text()
	// Only lists of this issuer, so that a token cannot choose where requests are sent.
	if !isWhole || !strings.HasPrefix(uri, issuer+"/") {
		p.refuse(invalid("status"))
	}
	return statusReference{uri, index}
}

// checkStatus refuses every status except 0 (valid). inList is false for an index beyond the end.
func checkStatus(status byte, inList bool) error {
	switch {
	case !inList:
		return invalid("status")
	case status == 0:
		return nil
	case status == 2:
		return refuse(ErrSuspended)
	default:
		return refuse(ErrRevoked)
	}
}

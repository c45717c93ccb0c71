package verifier

import (
	"strings"

	"signet.dev/verifier/internal/strict"
)

// forbidden are header parameters that refuse a token whatever their value: crit and b64 change how
// the rest is read; the others bring a key, or its address, along.
var forbidden = [...]string{"crit", "b64", "jwk", "jku", "x5c", "x5u"}

// A tokenType is the part of a media type after application/, in lower case.
type tokenType string

const (
	typeAccessToken tokenType = "at+jwt"
	// typeJWT is that of any JWT (RFC 7519 section 5.1), ID tokens among them.
	typeJWT        tokenType = "jwt"
	typeStatusList tokenType = "statuslist+jwt"
)

// A jws is a compact JWS (RFC 7515 section 3.1), taken apart but not yet believed.
type jws struct {
	header  *header
	payload strict.Value
	// signed is header and payload as sent: what the signature covers.
	signed    string
	signature []byte
}

type header struct {
	text    string
	kid     string
	members strict.Value
}

// parseJWS takes token apart: malformed unless all of it is as strict as it can be. known is a header
// that has been read before, or nil: all tokens of one key have the same.
func parseJWS(token string, longest int, known *header) (jws, error) {
	if len(token) > longest {
		return jws{}, refuse(ErrMalformed)
	}
	headerPart, rest, _ := strings.Cut(token, ".")
	payloadPart, signaturePart, hasThree := strings.Cut(rest, ".")
	if !hasThree {
		return jws{}, refuse(ErrMalformed)
	}
	header := known
	if known == nil || known.text != headerPart {
		header = parseHeader(headerPart)
	}
	payload, payloadErr := strict.ParseEncodedObject(payloadPart)
	// A fourth part would leave a dot in the signature, which is not base64url.
	signature, signatureErr := strict.DecodeBase64URL(signaturePart)
	if header == nil || payloadErr != nil || signatureErr != nil {
		return jws{}, refuse(ErrMalformed)
	}
	signed := token[:len(headerPart)+1+len(payloadPart)]
	return jws{header, payload, signed, signature}, nil
}

// parseHeader returns nil for what is malformed.
func parseHeader(text string) *header {
	members, err := strict.ParseEncodedObject(text)
	if err != nil {
		return nil
	}
	kid, _ := members.Get("kid").Text()
	if kid == "" {
		return nil
	}
	return &header{strings.Clone(text), kid, members}
}

// check returns which of the types it is. Parameters that are not named here are ignored, as
// RFC 7515 section 4 asks.
func (h *header) check(types []tokenType) (tokenType, error) {
	for _, name := range forbidden {
		if h.members.Has(name) {
			return "", refuse(ErrForbiddenHeader)
		}
	}
	// Ours, never the token's choice (RFC 8725 section 3.1).
	if !h.members.Get("alg").Is("RS256") {
		return "", refuse(ErrUnsupportedAlgorithm)
	}
	typ, _ := h.members.Get("typ").Text()
	for _, one := range types {
		if equalsIgnoringCase(typ, string(one)) || equalsIgnoringCase(typ, "application/"+string(one)) {
			return one, nil
		}
	}
	return "", refuse(ErrWrongType)
}

// equalsIgnoringCase compares as media types are compared (RFC 7515 section 4.1.9), in ASCII: to
// strings.EqualFold, the long s is an s.
func equalsIgnoringCase(text, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

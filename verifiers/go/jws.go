package verifier

import (
	"strings"

	"signet.dev/verifier/internal/strict"
)

// forbidden are header parameters that are refused with any value: crit and b64 change how a token
// is parsed; the others contain a key or its URL.
var forbidden = [...]string{"crit", "b64", "jwk", "jku", "x5c", "x5u"}

// A tokenType is the part of a media type after application/, in lower case.
type tokenType string

const (
	typeAccessToken tokenType = "at+jwt"
	// typeJWT is the type of any JWT (RFC 7519 section 5.1), including ID tokens.
	typeJWT        tokenType = "jwt"
	typeStatusList tokenType = "statuslist+jwt"
)

// A jws is a compact JWS (RFC 7515 section 3.1), parsed but not yet verified.
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

// parseJWS parses token, and refuses it as malformed if any part violates the strict syntax. known
// is a header that was parsed before, or nil: all tokens of one key have the same header.
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

// parseHeader returns nil for a malformed header.
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

// check returns the header's typ, one of types. Other parameters are ignored, as RFC 7515 section 4
// requires.
func (h *header) check(types []tokenType) (tokenType, error) {
	for _, name := range forbidden {
		if h.members.Has(name) {
			return "", refuse(ErrForbiddenHeader)
		}
	}
	// The verifier chooses the algorithm, never the token (RFC 8725 section 3.1).
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

// equalsIgnoringCase compares media types (RFC 7515 section 4.1.9), ignoring the case of ASCII
// letters only: strings.EqualFold would also equate the long s with s.
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

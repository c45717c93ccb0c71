package strict

import (
	"encoding/base64"
	"errors"
	"strings"
)

var (
	errBase64URL = errors.New("not canonical base64url")

	// Refuses padding, and spare bits that are not zero.
	encoding = base64.RawURLEncoding.Strict()
)

// DecodeBase64URL decodes unpadded canonical base64url (RFC 7515 section 2, RFC 4648 section 3.5).
func DecodeBase64URL(text string) ([]byte, error) {
	return appendBase64URL(nil, text)
}

func appendBase64URL(decoded []byte, text string) ([]byte, error) {
	// The standard library's decoder skips line breaks.
	if strings.IndexByte(text, '\n') >= 0 || strings.IndexByte(text, '\r') >= 0 {
		return nil, errBase64URL
	}
	decoded, err := encoding.AppendDecode(decoded, []byte(text))
	if err != nil {
		return nil, errBase64URL
	}
	return decoded, nil
}

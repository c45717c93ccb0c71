package strict

import (
	"strconv"
	"unicode/utf16"
)

// isPlain has the bytes that may occur in a string without an escape.
var isPlain = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return plain
}()

// string reads a string from its opening quote on. A string without escapes is a substring of the
// text.
func (r *reader) string() (string, bool) {
	start := r.at + 1
	at := start
	for at < len(r.text) && isPlain[r.text[at]] {
		at++
	}
	r.at = at
	if at == len(r.text) {
		return "", false
	}
	switch r.text[at] {
	case '"':
		r.at++
		return r.text[start:at], true
	case '\\':
		return r.escaped([]byte(r.text[start:at]))
	default:
		return "", false
	}
}

// escaped reads the remainder of a string from its first escape on; said is the part before.
func (r *reader) escaped(said []byte) (string, bool) {
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return string(said), true
		case c == '\\':
			character, ok := r.escape()
			if !ok {
				return "", false
			}
			said = append(said, character...)
		case c < ' ':
			return "", false
		default:
			said = append(said, c)
		}
	}
	return "", false
}

// escape reads what follows a backslash.
func (r *reader) escape() (character string, ok bool) {
	if r.at == len(r.text) {
		return "", false
	}
	c := r.text[r.at]
	r.at++
	switch c {
	case '"', '\\', '/':
		return string(rune(c)), true
	case 'b':
		return "\b", true
	case 'f':
		return "\f", true
	case 'n':
		return "\n", true
	case 'r':
		return "\r", true
	case 't':
		return "\t", true
	case 'u':
		return r.codePoint()
	default:
		return "", false
	}
}

// codePoint reads the part after \u. An unpaired surrogate is refused.
func (r *reader) codePoint() (character string, ok bool) {
	unit, ok := r.codeUnit()
	if !ok || !utf16.IsSurrogate(unit) {
		return string(unit), ok
	}
	if !r.skipAny(`\`) || !r.skipAny("u") {
		return "", false
	}
	second, ok := r.codeUnit()
	if !ok {
		return "", false
	}
	const noPair = '\uFFFD'
	whole := utf16.DecodeRune(unit, second)
	return string(whole), whole != noPair
}

// codeUnit reads four hexadecimal digits.
func (r *reader) codeUnit() (rune, bool) {
	const digits = 4
	if len(r.text)-r.at < digits {
		return 0, false
	}
	hex := r.text[r.at : r.at+digits]
	for i := range digits {
		if c := hex[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return 0, false
		}
	}
	unit, err := strconv.ParseUint(hex, 16, 16)
	r.at += digits
	return rune(unit), err == nil
}

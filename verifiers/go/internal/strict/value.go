// Package strict reads base64url and JSON strictly, so that all parsers read a token in the same
// way.
//
// encoding/json is unsuitable: it uses the last of two members with the same name, compares names
// case-insensitively, and replaces unpaired surrogates and invalid UTF-8 with U+FFFD.
package strict

import (
	"iter"
	"strconv"
)

// endOfWholeNumbers is 2^53: all languages represent whole numbers below it exactly.
const endOfWholeNumbers = 1 << 53

type kind uint8

const (
	literal kind = iota // true, false, null
	number
	text
	list
	object
)

// A Value is any JSON value, as a list of nodes: first its own, then those of all nested values.
// The empty Value means absent.
type Value []node

// Nodes are stored consecutively, so that a document takes one allocation.
type node struct {
	// name is the name of an object's member.
	name string
	// text is the content of a string, or the notation of a number.
	text string
	// size is the number of nodes of this value.
	size int32
	// tag is the tag of the name.
	tag  tag
	kind kind
}

// A tag is the first and the last byte of a name, for a quick comparison.
type tag uint16

func tagOf(name string) tag {
	if name == "" {
		return 0
	}
	return tag(name[0])<<8 | tag(name[len(name)-1])
}

// Get returns the member of an object with exactly this name.
func (v Value) Get(name string) Value {
	if len(v) == 0 || v[0].kind != object {
		return nil
	}
	at := v[1:].find(name)
	if at < 0 {
		return nil
	}
	return v[1+at : 1+at+int(v[1+at].size)]
}

// find returns the position of the member with this name among consecutive members, or -1.
func (v Value) find(name string) int {
	tag := tagOf(name)
	for i := 0; i < len(v); i += int(v[i].size) {
		if v[i].tag == tag && v[i].name == name {
			return i
		}
	}
	return -1
}

// Has reports whether an object has a member with this name, even if it is null.
func (v Value) Has(name string) bool {
	return v.Get(name) != nil
}

// Text returns the content of a string; an empty string, and false, for other values.
func (v Value) Text() (said string, ok bool) {
	if len(v) == 0 || v[0].kind != text {
		return "", false
	}
	return v[0].text, true
}

// Is reports whether the value is this string.
func (v Value) Is(said string) bool {
	found, isText := v.Text()
	return isText && found == said
}

// IsList reports whether the value is a list, which may be empty.
func (v Value) IsList() bool {
	return len(v) > 0 && v[0].kind == list
}

// Items iterates over the items of a list; for other values there are none.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if !v.IsList() {
			return
		}
		for i := 1; i < len(v); i += int(v[i].size) {
			if !yield(v[i : i+int(v[i].size)]) {
				return
			}
		}
	}
}

// Whole returns a number from 0 to below 2^53 that is written with digits only; 7.0, 7e0 and -0 are
// not.
func (v Value) Whole() (whole int64, ok bool) {
	if len(v) == 0 || v[0].kind != number {
		return 0, false
	}
	for i := range len(v[0].text) {
		if v[0].text[i] < '0' || v[0].text[i] > '9' {
			return 0, false
		}
	}
	whole, err := strconv.ParseInt(v[0].text, 10, 64)
	return whole, err == nil && whole < endOfWholeNumbers
}

// Float returns any number in the range of a double.
func (v Value) Float() (float float64, ok bool) {
	if len(v) == 0 || v[0].kind != number {
		return 0, false
	}
	float, err := strconv.ParseFloat(v[0].text, 64)
	return float, err == nil
}

// Package strict reads base64url and JSON as strictly as a token deserves: each text has one meaning
// for every reader.
//
// encoding/json is no help here: it takes the last of two members with one name, compares names
// without their case, and turns halves of surrogate pairs and what is no UTF-8 into U+FFFD.
package strict

import (
	"iter"
	"strconv"
)

// endOfWholeNumbers is 2^53: below it, every reader in every language sees the same whole number.
const endOfWholeNumbers = 1 << 53

type kind uint8

const (
	literal kind = iota // true, false, null
	number
	text
	list
	object
)

// A Value is any JSON value, as the nodes that it is made of: itself first, then all that lies in it.
// The empty Value stands for an absent one.
type Value []node

// Nodes lie one after the other, so that a whole document takes one allocation.
type node struct {
	// name is that of a member of an object.
	name string
	// text is what a string says, or how a number is written.
	text string
	// size counts the nodes of this value.
	size int32
	// tag is that of the name.
	tag  tag
	kind kind
}

// A tag tells most names apart without a look at all of them: the first and the last byte.
type tag uint16

func tagOf(name string) tag {
	if name == "" {
		return 0
	}
	return tag(name[0])<<8 | tag(name[len(name)-1])
}

// Get returns the member of an object that has this name, letter for letter.
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

// find returns where the member of this name is among these, one after the other; -1 if it is not.
func (v Value) find(name string) int {
	tag := tagOf(name)
	for i := 0; i < len(v); i += int(v[i].size) {
		if v[i].tag == tag && v[i].name == name {
			return i
		}
	}
	return -1
}

// Has tells whether an object has a member of this name, be it null.
func (v Value) Has(name string) bool {
	return v.Get(name) != nil
}

// Text returns what a string says; nothing, and false, for everything else.
func (v Value) Text() (said string, ok bool) {
	if len(v) == 0 || v[0].kind != text {
		return "", false
	}
	return v[0].text, true
}

// Is tells whether the value is this string.
func (v Value) Is(said string) bool {
	found, isText := v.Text()
	return isText && found == said
}

// IsList tells whether the value is a list, which may be empty.
func (v Value) IsList() bool {
	return len(v) > 0 && v[0].kind == list
}

// Items walks through a list, and through nothing if it is none.
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

// Whole returns a number from 0 to below 2^53 that is written with digits alone: 7.0, 7e0 and -0 are
// none.
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

// Float returns any number that a double can hold.
func (v Value) Float() (float float64, ok bool) {
	if len(v) == 0 || v[0].kind != number {
		return 0, false
	}
	float, err := strconv.ParseFloat(v[0].text, 64)
	return float, err == nil
}

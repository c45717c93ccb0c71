package strict

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// maxDepth is the maximum nesting depth of lists and objects, including the outermost. It bounds
// the stack.
const maxDepth = 127

// linearSearchLimit is the number of members up to which duplicate names are found by a linear
// search, which is then faster than a map. For more members the time would be quadratic.
const linearSearchLimit = 24

var errJSON = errors.New("not a strict JSON object")

// stackBufferSize is in bytes: documents up to this size, such as Signet's tokens, are decoded on
// the stack.
const stackBufferSize = 1024

// ParseEncodedObject decodes canonical base64url and parses the result with [ParseObject].
func ParseEncodedObject(encoded string) (Value, error) {
	var space [stackBufferSize]byte
	document, err := appendBase64URL(space[:0], encoded)
	if err != nil {
		return nil, err
	}
	return ParseObject(document)
}

// ParseObject parses document as one JSON object (RFC 8259) in valid UTF-8 without duplicate names
// at any depth. Only white space may surround it.
func ParseObject(document []byte) (Value, error) {
	if !utf8.Valid(document) {
		return nil, errJSON
	}
	// Estimated from the number of commas: enough for Signet's tokens.
	r := reader{text: string(document)}
	r.nodes = make(Value, 0, 8+min(strings.Count(r.text, ","), 64))
	isOne := r.value("", 0)
	r.next()
	if !isOne || r.nodes[0].kind != object || r.at < len(r.text) {
		return nil, errJSON
	}
	return r.nodes, nil
}

// A reader is at a position in a text, and has the nodes read so far. Its methods return false for
// invalid JSON; the position is then undefined.
type reader struct {
	text  string
	at    int
	nodes Value
}

// next skips white space and returns the next byte, or 0 at the end, which begins no value.
func (r *reader) next() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// skip skips white space and then c, if c is next.
func (r *reader) skip(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

// value reads the value at the current position, at nesting depth depth.
func (r *reader) value(name string, depth int) bool {
	start := len(r.nodes)
	r.nodes = append(r.nodes, node{name: name, tag: tagOf(name)})
	read, kind, said := true, literal, ""
	switch r.next() {
	case '{':
		kind, read = object, r.object(start, depth+1)
	case '[':
		kind, read = list, r.list(depth+1)
	case '"':
		kind = text
		said, read = r.string()
	case 't':
		read = r.word("true")
	case 'f':
		read = r.word("false")
	case 'n':
		read = r.word("null")
	default:
		kind = number
		said, read = r.number()
	}
	found := &r.nodes[start]
	found.kind, found.text, found.size = kind, said, int32(len(r.nodes)-start)
	return read
}

// object reads the members of the object whose node is at start.
func (r *reader) object(start, depth int) bool {
	r.at++
	if depth > maxDepth {
		return false
	}
	if r.skip('}') {
		return true
	}
	var names names
	for {
		name, ok := r.name()
		if !ok || names.add(name, r.nodes[start+1:]) || !r.value(name, depth) {
			return false
		}
		if !r.skip(',') {
			return r.skip('}')
		}
	}
}

// names are the names of the object that is being read.
type names struct {
	count int
	many  map[string]bool
}

// add reports whether name is a duplicate of a member already read, and records it.
func (n *names) add(name string, members Value) bool {
	n.count++
	if n.count > linearSearchLimit {
		return n.addToMap(name, members)
	}
	return members.find(name) >= 0
}

func (n *names) addToMap(name string, members Value) bool {
	if n.many == nil {
		n.many = make(map[string]bool, 2*linearSearchLimit)
		for i := 0; i < len(members); i += int(members[i].size) {
			n.many[members[i].name] = true
		}
	}
	isDuplicate := n.many[name]
	n.many[name] = true
	return isDuplicate
}

// name reads the name of a member, and the colon after it.
func (r *reader) name() (string, bool) {
	if r.next() != '"' {
		return "", false
	}
	name, ok := r.string()
	return name, ok && r.skip(':')
}

func (r *reader) list(depth int) bool {
	r.at++
	if depth > maxDepth {
		return false
	}
	if r.skip(']') {
		return true
	}
	for {
		if !r.value("", depth) {
			return false
		}
		if !r.skip(',') {
			return r.skip(']')
		}
	}
}

func (r *reader) word(word string) bool {
	if !strings.HasPrefix(r.text[r.at:], word) {
		return false
	}
	r.at += len(word)
	return true
}

// number reads a number in the syntax of RFC 8259 section 6.
func (r *reader) number() (written string, ok bool) {
	start := r.at
	r.skipAny("-")
	if !r.skipAny("0") && !r.digits() {
		return "", false
	}
	if r.skipAny(".") && !r.digits() {
		return "", false
	}
	if r.skipAny("eE") {
		r.skipAny("+-")
		if !r.digits() {
			return "", false
		}
	}
	return r.text[start:r.at], true
}

// skipAny skips the next byte if it is among these.
func (r *reader) skipAny(among string) bool {
	if r.at == len(r.text) || strings.IndexByte(among, r.text[r.at]) < 0 {
		return false
	}
	r.at++
	return true
}

// digits skips digits, and reports whether there was at least one.
func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

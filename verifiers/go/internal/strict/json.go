package strict

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// deepest is how many lists and objects may lie inside each other, outermost included. It bounds the
// stack of whoever reads them.
const deepest = 127

// fewNames is up to how many members of an object a name is looked for by walking through them: for
// as many, that is faster than a map. Beyond it would take the square of their number.
const fewNames = 24

var errJSON = errors.New("not a strict JSON object")

// usual is in bytes, and more than a token of Signet's has: as much is decoded on the stack.
const usual = 1024

// ParseEncodedObject reads canonical base64url of a document for [ParseObject].
func ParseEncodedObject(encoded string) (Value, error) {
	var space [usual]byte
	document, err := appendBase64URL(space[:0], encoded)
	if err != nil {
		return nil, err
	}
	return ParseObject(document)
}

// ParseObject reads document as one JSON object (RFC 8259) in valid UTF-8 with nothing but white
// space around it, in which no name occurs twice, at any depth.
func ParseObject(document []byte) (Value, error) {
	if !utf8.Valid(document) {
		return nil, errJSON
	}
	// As many values as commas, but for those that lie in others: enough for a token of Signet's.
	r := reader{text: string(document)}
	r.nodes = make(Value, 0, 8+min(strings.Count(r.text, ","), 64))
	isOne := r.value("", 0)
	r.next()
	if !isOne || r.nodes[0].kind != object || r.at < len(r.text) {
		return nil, errJSON
	}
	return r.nodes, nil
}

// A reader stands somewhere in a text, and has read nodes up to there. Its methods return false for
// what is no strict JSON; where it stands then does not matter.
type reader struct {
	text  string
	at    int
	nodes Value
}

// next steps over white space and tells what stands there: 0, which begins nothing, at the end.
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

// skip steps over c, white space before it included, if it stands there.
func (r *reader) skip(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

// value reads the value that begins here, within depth others.
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
	if depth > deepest {
		return false
	}
	if r.skip('}') {
		return true
	}
	var names names
	for {
		name, ok := r.name()
		if !ok || names.have(name, r.nodes[start+1:]) || !r.value(name, depth) {
			return false
		}
		if !r.skip(',') {
			return r.skip('}')
		}
	}
}

// names are those of an object that is being read.
type names struct {
	count int
	many  map[string]bool
}

// have tells whether name is among those of the members that have been read, and adds it.
func (n *names) have(name string, members Value) bool {
	n.count++
	if n.count > fewNames {
		return n.haveAmongMany(name, members)
	}
	return members.find(name) >= 0
}

func (n *names) haveAmongMany(name string, members Value) bool {
	if n.many == nil {
		n.many = make(map[string]bool, 2*fewNames)
		for i := 0; i < len(members); i += int(members[i].size) {
			n.many[members[i].name] = true
		}
	}
	isThere := n.many[name]
	n.many[name] = true
	return isThere
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
	if depth > deepest {
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

// number reads a number as RFC 8259 section 6 writes it.
func (r *reader) number() (written string, ok bool) {
	start := r.at
	r.one("-")
	if !r.one("0") && !r.digits() {
		return "", false
	}
	if r.one(".") && !r.digits() {
		return "", false
	}
	if r.one("eE") {
		r.one("+-")
		if !r.digits() {
			return "", false
		}
	}
	return r.text[start:r.at], true
}

// one steps over the byte that stands here if it is among these.
func (r *reader) one(among string) bool {
	if r.at == len(r.text) || strings.IndexByte(among, r.text[r.at]) < 0 {
		return false
	}
	r.at++
	return true
}

// digits steps over digits, and tells whether there was any.
func (r *reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

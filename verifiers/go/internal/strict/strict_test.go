package strict

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// unit is the escape of one UTF-16 code unit.
func unit(code int) string {
	return fmt.Sprintf(`\u%04x`, code)
}

func TestStrictJSONIsRead(t *testing.T) {
	deep := strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1)
	for _, document := range []string{
		`{}`, " \t\r\n{ \"a\" : [ ] , \"b\" : { } } \n",
		`{"a":true,"b":false,"c":null}`,
		`{"a":[0,-0,1,-1,10,1.5,0.0,1e3,1E+3,1e-3,1.5e300,123456789012345678901234567890]}`,
		`{"":"","\"\\\/\b\f\n\r\t":"\u0041\u00e9\u20ac` + unit(0xd83d) + unit(0xde00) + `"}`,
		`{"é":"😀` + "\u2028\u007f" + `"}`, `{"a":{"x":1},"b":{"x":1}}`, `{"a":"\u0000"}`, `{"A":1,"a":2}`,
		`{"a":` + deep + `}`,
	} {
		found, err := ParseObject([]byte(document))
		var wanted map[string]any
		if unmarshal := json.Unmarshal([]byte(document), &wanted); unmarshal != nil {
			t.Fatal(unmarshal)
		}
		for name, value := range wanted { // a Value does not distinguish literals
			if _, isBool := value.(bool); isBool {
				wanted[name] = nil
			}
		}
		if err != nil || !reflect.DeepEqual(plain(found), any(wanted)) {
			t.Errorf("%.60s: %v, %v", document, found, err)
		}
	}
}

// plain converts a value to the types of encoding/json.
func plain(v Value) any {
	switch said, isText := v.Text(); {
	case isText:
		return said
	case v.IsList():
		items := []any{}
		for item := range v.Items() {
			items = append(items, plain(item))
		}
		return items
	case v[0].kind == object:
		members := map[string]any{}
		for i := 1; i < len(v); i += int(v[i].size) {
			members[v[i].name] = plain(v.Get(v[i].name))
		}
		return members
	case v[0].kind == number:
		float, _ := v.Float()
		return float
	default:
		return nil
	}
}

func TestOtherTextIsRefused(t *testing.T) {
	for _, document := range []string{
		``, ` `, `null`, `true`, `1`, `"a"`, `[]`, `[{}]`, `{`, `}`, `{}}`, `{}{}`, `{} x`, "{}\x00", "\x00{}",
		"\ufeff{}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{1:1}`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":[1}`, `{"a":nul}`, `{"a":nulll}`, `{"a":TRUE}`,
		`{"a":NaN}`, `{"a":Infinity}`, `{"a":-}`, `{"a":+1}`, `{"a":01}`, `{"a":-01}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":1_0}`, `{"a":--1}`, `{"a":1`, `{"a":tru`, `{"a`, `{"a":"`,
		`{"a":"\`, `{"a":"\u00`, `{"a":"\u00"}`, `{"a":"\x41"}`, `{"a":"\u00g0"}`, `{"a":"\U0041"}`, `{"a":"\u+041"}`,
		"{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}", "{\"a\n\":1}", "{\"a\":\"\\\n\"}", "{\"a\":\"\\t\x00\"}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}",
		`{"a":"` + unit(0xd83d) + `"}`, `{"a":"` + unit(0xde00) + `"}`, `{"a":"` + unit(0xd83d) + `x"}`,
		`{"a":"` + unit(0xd83d) + `\n"}`, `{"a":"` + unit(0xd83d) + unit(0xd83d) + `"}`,
		`{"a":"` + unit(0xde00) + unit(0xd83d) + `"}`, `{"` + unit(0xd83d) + `":1}`,
		"{/**/}", "{}//", "{\"a\":1\v}", "{\u00a0}",
		`{"a":1,"a":1}`, `{"a":1,"b":2,"a":3}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`, `{"a":1,"` + unit('a') + `":2}`,
		`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`,
		strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
	} {
		if found, err := ParseObject([]byte(document)); err == nil || found != nil {
			t.Errorf("%.60q is read as %v", document, found)
		}
	}
}

func TestDuplicateNamesAreFoundAmongAnyNumberOfMembers(t *testing.T) {
	for count := range 3 * linearSearchLimit {
		var members strings.Builder
		for number := range count {
			fmt.Fprintf(&members, `"%d":[%d],`, number, number)
		}
		if _, err := ParseObject([]byte("{" + members.String() + `"last":0}`)); err != nil {
			t.Fatal(err)
		}
		for _, again := range []int{0, count / 2, count - 1} {
			twice := fmt.Sprintf(`{%s"%d":0}`, members.String(), again)
			if _, err := ParseObject([]byte(twice)); (err == nil) != (count == 0) {
				t.Fatalf("%d of %d is there twice: %v", again, count, err)
			}
		}
	}
}

func TestWholeNumberHasOnlyDigits(t *testing.T) {
	for written, isWhole := range map[string]bool{
		"0": true, "7": true, "9007199254740991": true, "9007199254740992": false, "-0": false, "-1": false,
		"7.0": false, "7e0": false, "99999999999999999999": false, `"7"`: false, "null": false, "[7]": false,
	} {
		document, err := ParseObject([]byte(`{"a":` + written + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := document.Get("a").Whole(); ok != isWhole {
			t.Errorf("%s: %t", written, ok)
		}
	}
	if _, ok := Value(nil).Whole(); ok {
		t.Error("an absent value is a number")
	}
}

// At most two mebibytes are read; no document may take quadratic time.
func TestWorstCaseDocumentsAreReadQuickly(t *testing.T) {
	const size = 1024 * 1024
	var names strings.Builder
	for number := range size / 10 {
		fmt.Fprintf(&names, `"%d":0,`, number)
	}
	for name, document := range map[string]string{
		"names":   "{" + names.String() + `"last":0}`,
		"numbers": `{"a":[` + strings.Repeat("0,", size/2) + "0]}",
		"lists":   `{"a":[` + strings.Repeat("[],", size/3) + "0]}",
		"escapes": `{"a":"` + strings.Repeat(`\u00e9`, size/6) + `"}`,
		"digits":  `{"a":` + strings.Repeat("9", size) + "}",
		"depth":   strings.Repeat(`{"a":`, size/5),
		"quotes":  strings.Repeat(`"`, size),
	} {
		began := time.Now()
		_, _ = ParseObject([]byte(document))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

// encoding/json reads the same strings in the members of an accepted document.
func FuzzParseObject(f *testing.F) {
	for _, document := range []string{
		`{"a":[1,-2.5e3,"\u00e9\n",null,true],"b":{"c":{}}}`, `{"a":1,"a":2}`, `{"a":"\ud83d\ude00"}`, "{}\x00",
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		found, err := ParseObject(document)
		if err != nil {
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(document, &theirs); err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		for name, raw := range theirs {
			var said string
			ours, isText := found.Get(name).Text()
			if raw[0] == '"' && (json.Unmarshal(raw, &said) != nil || !isText || said != ours) {
				t.Fatalf("%q: %q is %q, not %q", document, name, ours, said)
			}
		}
	})
}

func TestOnlyCanonicalBase64URLIsDecoded(t *testing.T) {
	for text, wanted := range map[string]string{"": "", "AA": "\x00", "AAA": "\x00\x00", "-_-_": "\xfb\xff\xbf"} {
		if decoded, err := DecodeBase64URL(text); err != nil || string(decoded) != wanted {
			t.Errorf("%q: %q, %v", text, decoded, err)
		}
	}
	for _, text := range []string{
		"A", "AAAAA", "AB", "AAB", "AA==", "AAA=", "+/+/", "AA A", "AA\n", "AAAA\n", "\nAAAA", "AA\r\nAA", "AA.A", "é", "A\x00",
	} {
		if decoded, err := DecodeBase64URL(text); err == nil {
			t.Errorf("%q: %q", text, decoded)
		}
	}
}

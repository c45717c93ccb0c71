package verifier

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"signet.dev/verifier/internal/strict"
)

// A caseFile is the content of cases.json, as verifiers/vectors/README.md specifies it.
type caseFile struct {
	sharedMembers
	Cases []testCase
	Lists []packedList
}

type packedList struct {
	Name     string
	Bits     int64
	Lst      string
	Size     int64
	Statuses map[int64]byte
}

func readCases(t *testing.T) *caseFile {
	t.Helper()
	document, err := os.ReadFile("../vectors/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var found caseFile
	if err := json.Unmarshal(document, &found); err != nil {
		t.Fatal(err)
	}
	return &found
}

func TestSharedCasesHaveTheExpectedResult(t *testing.T) {
	all := readCases(t)
	if len(all.Cases) < 1000 {
		t.Fatalf("there are only %d cases", len(all.Cases))
	}
	for _, one := range all.Cases {
		t.Run(one.Name, func(t *testing.T) {
			wanted := one.Expect
			if code, isError := wanted["error"]; isError {
				wanted = map[string]any{"error": code}
			}
			if found := all.run(t, &one); !reflect.DeepEqual(found, wanted) {
				t.Errorf("found %v, not %v", found, wanted)
			}
		})
	}
}

func TestListsOfTheDraftAreUnpacked(t *testing.T) {
	lists := readCases(t).Lists
	if len(lists) != 6 {
		t.Fatalf("there are %d lists", len(lists))
	}
	for _, one := range lists {
		t.Run(one.Name, func(t *testing.T) {
			document, err := json.Marshal(map[string]any{"bits": one.Bits, "lst": one.Lst})
			if err != nil {
				t.Fatal(err)
			}
			claim, err := strict.ParseObject(document)
			if err != nil {
				t.Fatal(err)
			}
			var list statusList
			if err := list.unpack(claim); err != nil {
				t.Fatal(err)
			}
			for index := range one.Size {
				if status, inList := list.at(index); !inList || status != one.Statuses[index] {
					t.Fatalf("at %d: %d, %t", index, status, inList)
				}
			}
			if _, inList := list.at(one.Size); inList {
				t.Error("the list has no end")
			}
		})
	}
}

func TestErrorContainsNoPartOfTheToken(t *testing.T) {
	all := readCases(t)
	for _, one := range all.Cases {
		v, err := New(all.Issuer, all.Audience, all.options(&one)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(context.Background(), one.Token); err != nil {
			for _, part := range strings.Split(one.Token, ".") {
				if len(part) > 20 && strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v", one.Name, err)
				}
			}
		}
	}
}

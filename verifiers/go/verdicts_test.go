package verifier

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// TestVerdicts says of each case of a file what becomes of it, for tests/verifiers to compare.
//
// The file CASES_FILE has what the cases share in its first line, and a case in each other line.
// VERDICTS_FILE gets a line for each case: what expect would have to be.
func TestVerdicts(t *testing.T) {
	source, wanted := os.LookupEnv("CASES_FILE")
	if !wanted {
		t.Skip("CASES_FILE is not set")
	}
	cases, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer cases.Close()
	verdicts, err := os.Create(os.Getenv("VERDICTS_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	decoder, buffer := json.NewDecoder(bufio.NewReader(cases)), bufio.NewWriter(verdicts)
	var shared family
	if err := decoder.Decode(&shared); err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(buffer)
	for decoder.More() {
		var one testCase
		if err := decoder.Decode(&one); err != nil {
			t.Fatal(err)
		}
		if err := encoder.Encode(shared.run(t, &one)); err != nil {
			t.Fatal(err)
		}
	}
	if err := buffer.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := verdicts.Close(); err != nil {
		t.Fatal(err)
	}
}

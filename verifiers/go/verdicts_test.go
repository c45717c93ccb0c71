package verifier

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// TestVerdicts verifies each case of a file, for tests/verifiers to compare the results.
//
// The first line of the file CASES_FILE has the members that all cases share; each further line is
// a case. VERDICTS_FILE gets one line per case: the result in the format of expect.
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
	var shared sharedMembers
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

package verifier_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The programs of the pages are built unchanged, and their tests are run.
func TestProgramsOfThePagesWork(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"README.md", "../../docs/verify-a-token.md", "../../docs/verify-in-go.md"} {
		t.Run(filepath.Base(page), func(t *testing.T) {
			programs := programsOf(t, page)
			if len(programs) == 0 {
				t.Fatal("there is no program")
			}
			directory := t.TempDir()
			programs["go.mod"] = fmt.Sprintf("module example.test/tasks\n\ngo 1.23\n\n"+
				"require signet.dev/verifier v0.0.0\n\nreplace signet.dev/verifier => %s\n", here)
			for name, text := range programs {
				if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.Command("go", "test", ".")
			command.Dir = directory
			command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// programsOf returns the complete programs of a page by file name: main.go, and main_test.go if
// there is one.
func programsOf(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(string(text), -1) {
		name := "main.go"
		if strings.Contains(block[1], `"testing"`) {
			name = "main_test.go"
		}
		programs[name] = block[1]
	}
	return programs
}

// The README lists all settings and errors.
func TestREADMENamesEverySettingAndCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, declared := range map[string]string{
		"options.go": `(?m)^func (With\w+)\(`,
		"errors.go":  `(?m)^\t(Err\w+) +(?:Code )?= `,
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(declared).FindAllStringSubmatch(string(source), -1)
		if len(found) < 10 {
			t.Errorf("%s: only %d", file, len(found))
		}
		for _, name := range found {
			if !strings.Contains(string(readme), "`"+name[1]+"`") {
				t.Errorf("%s is missing", name[1])
			}
		}
	}
}

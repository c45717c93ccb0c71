package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// An authorizationCase is a case of authorization.json, as verifiers/vectors/README.md specifies it.
type authorizationCase struct {
	Name          string
	Authorization []string
	Query, Body   string
	Expect        struct {
		Status          int
		Error           string
		WWWAuthenticate string `json:"www_authenticate"`
	}
}

func readAuthorizationCases(t *testing.T) []authorizationCase {
	t.Helper()
	document, err := os.ReadFile("../vectors/authorization.json")
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Cases []authorizationCase }
	if err := json.Unmarshal(document, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Cases) < 50 {
		t.Fatalf("there are only %d cases", len(found.Cases))
	}
	return found.Cases
}

// request returns the request of this case. Unlike a server, httptest forwards every value of a
// field unchanged.
func (c *authorizationCase) request(token string) *http.Request {
	insert := func(template string) string { return strings.ReplaceAll(template, "{token}", token) }
	request := httptest.NewRequest(http.MethodGet, "/me?"+insert(c.Query), http.NoBody)
	if c.Body != "" {
		request = httptest.NewRequest(http.MethodPost, "/me", strings.NewReader(insert(c.Body)))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, value := range c.Authorization {
		request.Header.Add("Authorization", latin1(insert(value)))
	}
	return request
}

// latin1 returns a string with one byte for each character, as in a field value.
func latin1(text string) string {
	var octets []byte
	for _, character := range text {
		octets = append(octets, byte(character))
	}
	return string(octets)
}

func TestSharedAuthorizationFieldsGetTheExpectedResponse(t *testing.T) {
	for _, one := range readAuthorizationCases(t) {
		t.Run(one.Name, func(t *testing.T) {
			test, f := newServiceTest(t)
			test.send(one.request(f.token(nil))).
				expect(one.Expect.Status, one.Expect.Error, one.Expect.WWWAuthenticate)
		})
	}
}

package verifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"signet.dev/verifier"
)

const invalidToken = `Bearer error="invalid_token"`

// service has a route for each kind of refusal in the table of responses (verifiers/README.md).
func service(v *verifier.Verifier) http.Handler {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(verifier.FromContext(r.Context()).UserID))
	})
	mux := http.NewServeMux()
	mux.Handle("/me", v.Middleware(answer))
	mux.Handle("/users/{user_id}", v.Middleware(verifier.RequireUser("user_id")(answer)))
	mux.Handle("/unnamed/{id}", v.Middleware(verifier.RequireUser("user_id")(answer)))
	mux.Handle("/scoped", v.Middleware(verifier.RequireScope("tasks", "tasks:write")(answer)))
	mux.Handle("/unguarded/{user_id}", verifier.RequireUser("user_id")(answer))
	return mux
}

// A serviceTest has a service, and the last response.
type serviceTest struct {
	t        *testing.T
	service  http.Handler
	response *http.Response
	body     map[string]string
}

func (a *serviceTest) get(path string, authorization ...string) *serviceTest {
	a.t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header["Authorization"] = authorization
	return a.send(request)
}

func (a *serviceTest) send(request *http.Request) *serviceTest {
	a.t.Helper()
	recorder := httptest.NewRecorder()
	a.service.ServeHTTP(recorder, request)
	a.response = recorder.Result()
	a.body = map[string]string{}
	if a.response.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(recorder.Body.Bytes(), &a.body); err != nil {
			a.t.Fatal(err)
		}
	}
	return a
}

func (a *serviceTest) expect(status int, code, challenge string) {
	a.t.Helper()
	header := a.response.Header
	if a.response.StatusCode != status || a.body["error"] != code || header.Get("WWW-Authenticate") != challenge {
		a.t.Errorf("%d %v %v", a.response.StatusCode, a.body, header)
	}
	if code != "" && (len(a.body) != 2 || a.body["error_description"] == "") {
		a.t.Error(a.body)
	}
	if isUnavailable := header.Get("Retry-After") == "5"; isUnavailable != (status == http.StatusServiceUnavailable) {
		a.t.Errorf("Retry-After: %q", header.Get("Retry-After"))
	}
}

func newServiceTest(t *testing.T) (*serviceTest, *fakeIssuer) {
	t.Helper()
	f := newFakeIssuer(t)
	return &serviceTest{t: t, service: service(f.verifier())}, f
}

func TestValidTokenIsAccepted(t *testing.T) {
	test, f := newServiceTest(t)
	scoped := f.token(claims{"scope": "a tasks tasks:write"})
	for path, authorization := range map[string]string{
		"/me":            "Bearer " + f.token(nil),
		"/me?x=1":        "Bearer " + f.token(nil),
		"/users/" + user: "Bearer " + f.token(nil),
		"/scoped":        "Bearer " + scoped,
	} {
		test.get(path, authorization).expect(http.StatusOK, "", "")
	}
}

func TestResponseDoesNotContainTheRefusalReason(t *testing.T) {
	test, f := newServiceTest(t)
	f.revoke(3)
	answers := map[string]bool{}
	for _, token := range []string{
		f.token(claims{"exp": 1}), f.token(claims{"aud": "x"}), f.token(nil), "no-token",
	} {
		test.get("/me", "Bearer "+token).expect(http.StatusUnauthorized, "invalid_token", invalidToken)
		answers[test.body["error_description"]] = true
	}
	if len(answers) != 1 {
		t.Error(answers)
	}
}

func TestChallengeNamesTheMissingScope(t *testing.T) {
	test, f := newServiceTest(t)
	const challenge = `Bearer error="insufficient_scope", scope="tasks tasks:write"`
	for _, scope := range []string{"profile tasks", "tasks:write", "", "tasks tasks:writer"} {
		test.get("/scoped", "Bearer "+f.token(claims{"scope": scope})).
			expect(http.StatusForbidden, "insufficient_scope", challenge)
	}
}

func TestPathOfAnotherUserIsForbidden(t *testing.T) {
	test, f := newServiceTest(t)
	own, clients := f.token(nil), f.token(claims{"sub": "reporting", "user_id": nil, "status": nil})
	for path, token := range map[string]string{
		"/users/somebody-else":            own,
		"/users/" + strings.ToUpper(user): own,
		"/unnamed/" + user:                own, // the route has no user_id
		"/users/reporting":                clients,
	} {
		test.get(path, "Bearer "+token).expect(http.StatusForbidden, "forbidden", "")
	}
}

func TestMissingKeysOrStatusListGetsA503(t *testing.T) {
	for _, url := range []string{keysURL, listURL} {
		test, f := newServiceTest(t)
		f.respondWith(url, refuseConnection)
		test.get("/me", "Bearer "+f.token(nil)).
			expect(http.StatusServiceUnavailable, "temporarily_unavailable", "")
	}
}

func TestUnguardedRouteAndUnknownErrorGet500(t *testing.T) {
	test, f := newServiceTest(t)
	test.get("/unguarded/"+user, "Bearer "+f.token(nil)).expect(http.StatusInternalServerError, "", "")
	if status := verifier.RefusalOf(errors.New("a defect")).Status; status != http.StatusInternalServerError {
		t.Error(status)
	}
	if verifier.FromContext(context.Background()) != nil {
		t.Error("claims without middleware")
	}
}

func TestRefusalHandlerReplacesTheResponse(t *testing.T) {
	f := newFakeIssuer(t)
	own := func(w http.ResponseWriter, _ *http.Request, refusal *verifier.Refusal) {
		http.Error(w, refusal.Code+" "+refusal.Err.Error(), http.StatusTeapot)
	}
	test := &serviceTest{t: t, service: service(f.verifier(verifier.WithRefusalHandler(own)))}
	for _, path := range []string{"/me", "/scoped", "/users/another"} {
		if test.get(path, "Bearer "+f.token(nil)); path != "/me" && test.response.StatusCode != http.StatusTeapot {
			t.Errorf("%s: %d", path, test.response.StatusCode)
		}
	}
	if test.get("/me"); test.response.StatusCode != http.StatusTeapot {
		t.Error(test.response.StatusCode)
	}
}

// Other characters could end the quoted string of the challenge.
func TestScopeWithInvalidSyntaxPanicsAtStart(t *testing.T) {
	for _, scope := range []string{"", "a b", `a"`, `a\`, "a\r\nSet-Cookie: b", "é"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is a scope", scope)
				}
			}()
			verifier.RequireScope("openid", scope)
		}()
	}
}

func TestNewContextProvidesClaimsToHandlers(t *testing.T) {
	handler := verifier.RequireScope("admin")(http.NotFoundHandler())
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	recorder := httptest.NewRecorder()
	claims := &verifier.Claims{UserID: "ada", Scope: "tasks"}
	handler.ServeHTTP(recorder, request.WithContext(verifier.NewContext(request.Context(), claims)))
	if recorder.Code != http.StatusForbidden {
		t.Error(recorder.Code)
	}
}

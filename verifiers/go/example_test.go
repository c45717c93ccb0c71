package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"signet.dev/verifier"
	"signet.dev/verifier/signettest"
)

// A service with users in its paths, here with a test issuer instead of Signet.
func Example() {
	issuer := signettest.NewIssuer(&testing.T{})
	v := issuer.Verifier() // verifier.New("https://id.example", "https://tasks.example")

	tasks := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "tasks of %s", verifier.FromContext(r.Context()).UserID)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /users/{user_id}/tasks",
		v.Middleware(verifier.RequireUser("user_id")(http.HandlerFunc(tasks))))

	ask := func(userID, token string) {
		request := httptest.NewRequest(http.MethodGet, "/users/"+userID+"/tasks", http.NoBody)
		request.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		fmt.Println(answer.Code, answer.Body)
	}
	token := issuer.UserToken("ada")
	ask("ada", token)
	ask("bob", token)
	issuer.LogOut(token)
	issuer.Advance(signettest.StatusTTL)
	ask("ada", token)
	// Output:
	// 200 tasks of ada
	// 403 {"error":"forbidden","error_description":"This belongs to another user"}
	// 401 {"error":"invalid_token","error_description":"The access token is not valid"}
}

func ExampleNew() {
	v, err := verifier.New("https://id.example", "https://tasks.example",
		verifier.WithBaseURL("http://signet.internal:8080"))
	fmt.Println(v != nil, err)

	_, err = verifier.New("id.example", "https://tasks.example")
	fmt.Println(err)
	// Output:
	// true <nil>
	// signet verifier: "id.example" is not an http or https URL without query and fragment
}

func ExampleVerifier_Verify() {
	issuer := signettest.NewIssuer(&testing.T{})
	quiet := verifier.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	v := issuer.Verifier(quiet)

	token, err := v.Verify(context.Background(), issuer.UserToken("ada", "tasks:read"))
	fmt.Println(token.IsUser("ada"), token.HasScope("tasks:read"), err)

	_, err = v.Verify(context.Background(), "not-a-token")
	switch {
	case errors.Is(err, verifier.ErrUnavailable):
		fmt.Println("answer 503")
	case errors.Is(err, verifier.ErrRefused):
		fmt.Println("answer 401:", err)
	}
	// Output:
	// true true <nil>
	// answer 401: malformed
}

func ExampleRequireScope() {
	issuer := signettest.NewIssuer(&testing.T{})
	handler := issuer.Verifier().Middleware(verifier.RequireScope("tasks:write")(http.NotFoundHandler()))

	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	request.Header.Set("Authorization", "Bearer "+issuer.UserToken("ada", "tasks:read"))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	// Output: 403 Bearer error="insufficient_scope", scope="tasks:write"
}

// An application with a custom error format.
func ExampleWithRefusalHandler() {
	own := func(w http.ResponseWriter, _ *http.Request, refusal *verifier.Refusal) {
		for name, values := range refusal.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(refusal.Status)
		fmt.Fprintf(w, "custom body for %s", refusal.Code)
	}
	issuer := signettest.NewIssuer(&testing.T{})
	handler := issuer.Verifier(verifier.WithRefusalHandler(own)).Middleware(http.NotFoundHandler())

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	fmt.Println(answer.Code, answer.Body, answer.Header().Get("WWW-Authenticate"))
	// Output: 401 custom body for invalid_request Bearer
}

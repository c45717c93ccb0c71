// Package signettest has an in-memory Signet, for tests of services that use package verifier: it
// signs tokens, rotates its keys, ends sessions, and can be unreachable. Tests advance its clock,
// so that no test has to wait.
package signettest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"signet.dev/verifier"
)

const (
	// URL is the issuer.
	URL = "https://id.example.test"
	// Audience is the audience of its tokens, unless a claim overrides it.
	Audience = "https://api.example.test"
	// StatusTTL is the time after which a service fetches the list of ended sessions again, which is
	// Signet's default.
	StatusTTL = 10 * time.Second
	// KeysMaxAge is the time after which a service fetches the key set again.
	KeysMaxAge = 5 * time.Minute

	keysPath = "/.well-known/jwks.json"
	listPath = "/status/1"

	// listSize is the number of entries in the status list, as in Signet. It is fixed, because a
	// verifier that has cached a shorter list would refuse the tokens signed since.
	listSize  = 1 << 20
	listLife  = 10 * time.Minute
	tokenLife = time.Hour
)

// Claims are members of a token's header or payload. A nil value removes a default member.
type Claims map[string]any

// An Issuer is an in-memory Signet. It may be used by several goroutines.
//
// Its [Issuer.Verifier] reaches it without a network. A service in another process can reach it
// through httptest.NewServer(issuer), with that server's URL as base URL.
type Issuer struct {
	tb testing.TB

	mu       sync.Mutex
	now      time.Time
	keys     []*signingKey // the last key signs
	ended    []byte
	tokens   int64
	isAway   bool
	requests map[string]int
}

// NewIssuer returns an issuer whose clock is set to the current second.
func NewIssuer(tb testing.TB) *Issuer {
	return &Issuer{
		tb:       tb,
		now:      time.Now().Truncate(time.Second),
		keys:     []*signingKey{newKey(tb, 0)},
		ended:    make([]byte, listSize/8),
		requests: map[string]int{},
	}
}

// Verifier returns a verifier of this issuer and [Audience] that uses its clock.
func (i *Issuer) Verifier(options ...verifier.Option) *verifier.Verifier {
	i.tb.Helper()
	own := []verifier.Option{verifier.WithHTTPClient(i.Client()), verifier.WithClock(i.Now)}
	v, err := verifier.New(URL, Audience, append(own, options...)...)
	if err != nil {
		i.tb.Fatal(err)
	}
	return v
}

// Now returns the time of the issuer's clock.
func (i *Issuer) Now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// Advance advances the issuer's clock.
func (i *Issuer) Advance(duration time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = i.now.Add(duration)
}

// UserToken signs a token of a user that is valid for an hour.
func (i *Issuer) UserToken(userID string, scopes ...string) string {
	return i.Token(Claims{"sub": userID, "user_id": userID, "scope": strings.Join(scopes, " ")})
}

// ClientToken signs a client credentials token, which belongs to no user.
func (i *Issuer) ClientToken(clientID string, scopes ...string) string {
	return i.Token(Claims{
		"sub": clientID, "client_id": clientID, "scope": strings.Join(scopes, " "),
		"user_id": nil, "email": nil, "sid": nil, "auth_time": nil, "status": nil,
	})
}

// Token signs a token of a user with some claims changed.
func (i *Issuer) Token(changes Claims) string {
	i.mu.Lock()
	number := i.tokens
	i.tokens++
	now := i.now
	i.mu.Unlock()
	claims := Claims{
		"iss": URL, "aud": Audience, "client_id": "web", "scope": "",
		"sub": "user-1", "user_id": "user-1", "email": "ada@example.test",
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "auth_time": now.Unix(),
		"jti": fmt.Sprintf("token-%d", number), "sid": fmt.Sprintf("session-%d", number),
		"status": Claims{"status_list": Claims{"idx": number, "uri": URL + listPath}},
	}
	maps.Copy(claims, changes)
	return i.Sign(nil, claims)
}

// Sign signs any claims, for tokens that Signet would not sign. The header is that of an access
// token with these changes; a nil value removes a member.
func (i *Issuer) Sign(changes, claims Claims) string {
	i.tb.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return key.sign(i.tb, "at+jwt", changes, claims)
}

// LogOut ends the session of a token. A verifier notices it once [StatusTTL] has passed.
func (i *Issuer) LogOut(token string) {
	i.tb.Helper()
	index := statusIndex(i.tb, token)
	i.mu.Lock()
	defer i.mu.Unlock()
	if index < 0 || index >= listSize {
		i.tb.Fatalf("the token's status index %d is outside the list", index)
	}
	i.ended[index/8] |= 1 << (index % 8)
}

// Rotate makes a new key sign from now on. Earlier keys stay in the key set.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, newKey(i.tb, len(i.keys)))
}

// Withdraw removes all keys except the signing key from the key set, like signet keys revoke --now.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// SetAway sets whether the issuer responds to every request with 503.
func (i *Issuer) SetAway(isAway bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.isAway = isAway
}

// Fetches returns how often the key set and the list of ended sessions have been requested.
func (i *Issuer) Fetches() (keys, lists int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[keysPath], i.requests[listPath]
}

// ServeHTTP serves the key set and the status list, like Signet.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests[r.URL.Path]++
	switch {
	case i.isAway:
		http.Error(w, "away", http.StatusServiceUnavailable)
	case r.URL.Path == keysPath:
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%.0f", KeysMaxAge.Seconds()))
		i.serve(w, i.keySet())
	case r.URL.Path == listPath:
		w.Header().Set("Content-Type", "application/statuslist+jwt")
		i.serve(w, []byte(i.statusList()))
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) serve(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		i.tb.Log(err)
	}
}

// keySet is the JWK set (RFC 7517 section 5).
func (i *Issuer) keySet() []byte {
	published := make([]Claims, 0, len(i.keys))
	for _, key := range i.keys {
		published = append(published, key.public())
	}
	document, err := json.Marshal(Claims{"keys": published})
	if err != nil {
		i.tb.Error(err)
	}
	return document
}

// statusList is the status list token (draft-ietf-oauth-status-list section 5.1).
func (i *Issuer) statusList() string {
	claims := Claims{
		"iss": URL, "sub": URL + listPath, "iat": i.now.Unix(),
		"exp": i.now.Add(listLife).Unix(), "ttl": int(StatusTTL.Seconds()),
		"status_list": Claims{"bits": 1, "lst": pack(i.tb, i.ended)},
	}
	return i.keys[len(i.keys)-1].sign(i.tb, "statuslist+jwt", nil, claims)
}

// Client returns a client that reaches only the issuer, without a network.
func (i *Issuer) Client() *http.Client {
	return &http.Client{Transport: transport{i}}
}

type transport struct {
	handler http.Handler
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if origin := request.URL.Scheme + "://" + request.URL.Host; origin != URL {
		return nil, fmt.Errorf("%s is not %s", origin, URL)
	}
	recorder := httptest.NewRecorder()
	t.handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	response.Request = request
	return response, nil
}

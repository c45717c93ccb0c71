// Package verifier checks Signet's access tokens (RS256, RFC 9068) in a Go service: locally, with
// Signet's public keys, and with its list of sessions that have ended, so that a logout reaches the
// service within seconds.
//
//	v, err := verifier.New("https://id.example", "https://tasks.example")
//	…
//	mux.Handle("GET /users/{user_id}/tasks",
//		v.Middleware(verifier.RequireUser("user_id")(http.HandlerFunc(tasks))))
//
// Nothing is fetched before the first token arrives, and nothing is fetched for each token: the key
// set is kept for its max-age, and a status list for its ttl. While Signet is away, keys are kept
// without end and a list until its exp. Tokens that name unknown keys cause one fetch in a cool-down
// at most, however many there are.
//
// What is checked and fetched, and when, is the same in all languages: see verifiers/README.md in
// Signet's repository. Package signettest has an issuer for tests of your own.
package verifier

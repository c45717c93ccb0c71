// Package verifier checks Signet's access tokens (RS256, RFC 9068) in a Go service: locally, with
// Signet's public keys, and with its list of sessions that have ended, so that a logout takes
// effect within seconds.
//
//	v, err := verifier.New("https://id.example", "https://tasks.example")
//	…
//	mux.Handle("GET /users/{user_id}/tasks",
//		v.Middleware(verifier.RequireUser("user_id")(http.HandlerFunc(tasks))))
//
// Nothing is fetched before the first token arrives, and there is no fetch per token: the key set
// is cached for its max-age, and a status list for its ttl. While Signet is unreachable, keys are
// used without a limit and a list until its exp. Tokens with unknown keys cause at most one fetch
// per cool-down.
//
// All languages check and fetch the same; verifiers/README.md in Signet's repository is the
// specification. Package signettest has an issuer for your own tests.
package verifier

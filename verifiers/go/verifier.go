package verifier

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// longestToken is in bytes; Signet's tokens have about one thousand.
const longestToken = 8 * 1024

// A Verifier checks access tokens of one issuer for one audience.
//
// Create one per process: it caches the keys and the status lists. It may be used by any number of
// goroutines, and need not be closed. No check can be turned off.
type Verifier struct {
	config *config
	keys   *remoteKeys
	lists  *remoteLists
	// header is that of the last token with a good signature.
	header atomic.Pointer[header]
}

// New creates a verifier. It fetches nothing, so that a service can start while Signet is
// unreachable. It returns an error only for invalid settings.
//
// The issuer is Signet's SIGNET_ISSUER, byte for byte, including a trailing slash. The audience is
// that of this service, as in aud.
func New(issuer, audience string, options ...Option) (*Verifier, error) {
	config, err := newConfig(issuer, audience, options)
	if err != nil {
		return nil, fmt.Errorf("signet verifier: %w", err)
	}
	fetcher := newFetcher(config.client, config.timeout)
	keys := newRemoteKeys(config, fetcher)
	lists := newRemoteLists(config, fetcher, keys)
	return &Verifier{config: config, keys: keys, lists: lists}, nil
}

// Verify checks a token: its syntax, its header, its signature, with typ JWT that it is not an ID
// token, its claims, and its status, in this order. The error is an [*Error].
//
// Missing and stale documents are fetched first; usually none is. If ctx ends meanwhile, the error
// is an [ErrUnavailable] that wraps the error of ctx, and the fetch continues for other callers.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	claims, err := v.verify(ctx, token)
	if err != nil {
		v.config.log().LogAttrs(ctx, slog.LevelInfo, "token not accepted: "+err.Error(),
			slog.String("code", codeOf(err)))
		return nil, err
	}
	return claims, nil
}

func (v *Verifier) verify(ctx context.Context, token string) (*Claims, error) {
	known := v.header.Load()
	parsed, err := parseJWS(token, longestToken, known)
	if err != nil {
		return nil, err
	}
	typ, err := parsed.header.check(v.config.types)
	if err != nil {
		return nil, err
	}
	key, err := v.keys.find(ctx, parsed.header.kid)
	if err != nil {
		return nil, err
	}
	if err := checkSignature(parsed, key); err != nil {
		return nil, err
	}
	if parsed.header != known { // only after the signature check: forged headers must not replace it
		v.header.Store(parsed.header)
	}
	if typ == typeJWT {
		if err := checkNoIDToken(parsed.payload); err != nil {
			return nil, err
		}
	}
	claims, status, err := checkClaims(parsed.payload, &v.config.rules, v.config.now())
	if err != nil {
		return nil, err
	}
	if status == (statusReference{}) {
		return claims, nil
	}
	return claims, v.checkStatus(ctx, status)
}

func (v *Verifier) checkStatus(ctx context.Context, reference statusReference) error {
	list, err := v.lists.find(ctx, reference.uri)
	if err == nil {
		return checkStatus(list.at(reference.index))
	}
	// The setting must not accept a token because its caller did not wait.
	if v.config.acceptWithoutStatus && ctx.Err() == nil {
		return nil
	}
	return err
}

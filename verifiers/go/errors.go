package verifier

import (
	"errors"
	"strings"
)

// A Code is the reason why a token was not accepted. All of Signet's verifiers use the same codes,
// for logs and metrics. A Code is also an error: errors.Is(err, verifier.ErrRevoked).
type Code string

// The codes of failed checks, in the order of the checks. Each is an [ErrRefused], except for the
// last two, which are [ErrUnavailable].
const (
	// ErrMalformed: not a compact JWS of at most 8 KiB, or its JSON has duplicate names or no kid.
	ErrMalformed Code = "malformed"
	// ErrForbiddenHeader: the header contains a key or critical extensions (RFC 8725 section 3.10).
	ErrForbiddenHeader Code = "forbidden_header"
	// ErrUnsupportedAlgorithm: alg is anything but RS256 (RFC 8725 section 3.1).
	ErrUnsupportedAlgorithm Code = "unsupported_algorithm"
	// ErrWrongType: another kind of token (RFC 9068 section 4), for example an ID token.
	ErrWrongType Code = "wrong_type"
	// ErrUnknownKey: the key is not in the key set, even after a fetch if one was due.
	ErrUnknownKey Code = "unknown_key"
	// ErrBadSignature: the token was altered or forged.
	ErrBadSignature Code = "bad_signature"
	// ErrWrongIssuer: if all tokens are refused with this code, check the configured issuer.
	ErrWrongIssuer Code = "wrong_issuer"
	// ErrWrongAudience: for another service; if all tokens are refused with it, check the audience.
	ErrWrongAudience Code = "wrong_audience"
	// ErrExpired: the client should refresh.
	ErrExpired Code = "expired"
	// ErrNotYetValid: if new tokens are refused with this code, check the clocks.
	ErrNotYetValid Code = "not_yet_valid"
	// ErrInvalidClaim: a claim is missing, of a wrong type or out of range; [Error.Claim] names it.
	ErrInvalidClaim Code = "invalid_claim"
	// ErrRevoked: the session has ended, for example by a logout or a deletion of the account.
	ErrRevoked Code = "revoked"
	// ErrSuspended: the session is suspended temporarily.
	ErrSuspended Code = "suspended"
	// ErrKeysUnavailable: no key set has been fetched since the start.
	ErrKeysUnavailable Code = "keys_unavailable"
	// ErrStatusUnavailable: the status list is unavailable, so the session may have ended.
	ErrStatusUnavailable Code = "status_unavailable"
)

var (
	// ErrRefused matches every error of an invalid token. Respond with 401.
	ErrRefused = errors.New("the token is refused")
	// ErrUnavailable matches every error of a token that cannot be verified now. Respond with 503: the
	// same request may succeed later.
	ErrUnavailable = errors.New("the token cannot be verified")
	// ErrNoToken: the request has no Authorization: Bearer. Respond with 401.
	ErrNoToken = errors.New("the request has no bearer token")
	// ErrForeignUser: the token is valid but belongs to another user or to no user. Respond with 403.
	ErrForeignUser = errors.New("the token is not this user's")
)

func (c Code) Error() string {
	return string(c)
}

// An Error is the error of [Verifier.Verify]. It contains no part of the token, because errors are
// logged, and anyone can send a token.
type Error struct {
	Code Code
	// Claim is the claim that is missing or wrong, if the code is [ErrInvalidClaim].
	Claim string
	// Cause is the error of the last fetch, or that of the caller's context, if the code is
	// [ErrKeysUnavailable] or [ErrStatusUnavailable].
	Cause error
}

// Error returns the code, and the claim if there is one.
func (e *Error) Error() string {
	if e.Claim == "" {
		return string(e.Code)
	}
	return string(e.Code) + " (" + e.Claim + ")"
}

// Unwrap makes [errors.Is] match the code, [ErrRefused] or [ErrUnavailable], and the cause.
func (e *Error) Unwrap() []error {
	group := ErrRefused
	if e.Code == ErrKeysUnavailable || e.Code == ErrStatusUnavailable {
		group = ErrUnavailable
	}
	if e.Cause == nil {
		return []error{e.Code, group}
	}
	return []error{e.Code, group, e.Cause}
}

// A MissingScopeError means that a valid token lacks a scope. Respond with 403 insufficient_scope.
type MissingScopeError struct {
	// Scopes are all scopes that the request needs, not only the missing ones (RFC 6750 section 3).
	Scopes []string
}

func (e *MissingScopeError) Error() string {
	return "the token lacks a scope of " + strings.Join(e.Scopes, " ")
}

func refuse(code Code) *Error {
	return &Error{Code: code}
}

func invalid(claim string) *Error {
	return &Error{Code: ErrInvalidClaim, Claim: claim}
}

func codeOf(err error) string {
	var known *Error
	if errors.As(err, &known) {
		return string(known.Code)
	}
	return ""
}

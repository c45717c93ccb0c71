package verifier

import (
	"errors"
	"strings"
)

// A Code says why a token was not accepted. It is the same word in all of Signet's verifiers, for
// logs and metrics, and is itself an error: errors.Is(err, verifier.ErrRevoked).
type Code string

// The checks that a token may not pass, in their order. Each is an [ErrRefused], but for the last
// two, which are [ErrUnavailable].
const (
	// ErrMalformed: no compact JWS of at most 8 KiB, or its JSON repeats a name, or has no kid.
	ErrMalformed Code = "malformed"
	// ErrForbiddenHeader: the header brings a key or a rule of its own (RFC 8725 section 3.10).
	ErrForbiddenHeader Code = "forbidden_header"
	// ErrUnsupportedAlgorithm: alg is anything but RS256 (RFC 8725 section 3.1).
	ErrUnsupportedAlgorithm Code = "unsupported_algorithm"
	// ErrWrongType: another kind of token (RFC 9068 section 4): an ID token, perhaps.
	ErrWrongType Code = "wrong_type"
	// ErrUnknownKey: signed with a key that is not in the key set, looked up again if that was due.
	ErrUnknownKey Code = "unknown_key"
	// ErrBadSignature: altered or forged.
	ErrBadSignature Code = "bad_signature"
	// ErrWrongIssuer: if every token ends here, the issuer that was set is another.
	ErrWrongIssuer Code = "wrong_issuer"
	// ErrWrongAudience: for another service; if every token ends here, the audience is not Signet's.
	ErrWrongAudience Code = "wrong_audience"
	// ErrExpired: the client refreshes.
	ErrExpired Code = "expired"
	// ErrNotYetValid: if fresh tokens end here, the clocks disagree.
	ErrNotYetValid Code = "not_yet_valid"
	// ErrInvalidClaim: a claim is missing, of another type or out of range; [Error.Claim] says which.
	ErrInvalidClaim Code = "invalid_claim"
	// ErrRevoked: its session has ended: logged out, or the account is gone.
	ErrRevoked Code = "revoked"
	// ErrSuspended: its session is suspended, for now.
	ErrSuspended Code = "suspended"
	// ErrKeysUnavailable: no key set could be had since the start.
	ErrKeysUnavailable Code = "keys_unavailable"
	// ErrStatusUnavailable: whether its session has ended cannot be said.
	ErrStatusUnavailable Code = "status_unavailable"
)

var (
	// ErrRefused is every error of a token that proves nothing. Answer 401.
	ErrRefused = errors.New("the token is refused")
	// ErrUnavailable is every error of a token that could not be judged. Answer 503: the same
	// request may succeed later.
	ErrUnavailable = errors.New("the token cannot be judged")
	// ErrNoToken: the request has no Authorization: Bearer. Answer 401.
	ErrNoToken = errors.New("the request has no bearer token")
	// ErrForeignUser: the token is valid, but another user's or nobody's. Answer 403: more scope
	// cannot help.
	ErrForeignUser = errors.New("the token is not this user's")
)

func (c Code) Error() string {
	return string(c)
}

// An Error is why [Verifier.Verify] did not accept a token. Nothing of the token is repeated in it:
// errors end in logs, and tokens are written by strangers.
type Error struct {
	Code Code
	// Claim is the claim that is missing or wrong, where the code is [ErrInvalidClaim].
	Claim string
	// Cause is what kept the keys or the status from being had, where the code is
	// [ErrKeysUnavailable] or [ErrStatusUnavailable]: what went wrong with the last fetch, or why
	// the caller's context has ended.
	Cause error
}

// Error is the code, and the claim if one is to blame.
func (e *Error) Error() string {
	if e.Claim == "" {
		return string(e.Code)
	}
	return string(e.Code) + " (" + e.Claim + ")"
}

// Unwrap has [errors.Is] find the code, [ErrRefused] or [ErrUnavailable], and the cause.
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

// A MissingScopeError is a token that is valid, but not for this. Answer 403 insufficient_scope.
type MissingScopeError struct {
	// Scopes are all that the request needs, not only what is missing (RFC 6750 section 3).
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

package verifier

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math"
	"time"

	"signet.dev/verifier/internal/strict"
)

const (
	// largestList is in bytes, as fetched.
	largestList = 2 * 1024 * 1024
	// largestInflated is in bytes; a million sessions take an eighth of this.
	largestInflated = 1024 * 1024
	// longestLifetime limits every lifetime, so that revocations take effect within a day.
	longestLifetime = 24 * time.Hour
)

var errStatusList = errors.New("not a status list")

// A statusList has the statuses of many tokens, 1, 2, 4 or 8 bits each, the lowest bits first
// (draft-ietf-oauth-status-list section 4.1).
type statusList struct {
	bits   int64
	packed []byte
	// expiresAt is exp: the list must not be used afterwards. The zero time means none.
	expiresAt time.Time
	// ttl is the time after which the list is fetched again; 0 means none.
	ttl time.Duration
}

// at returns the status at index: 0 is valid, 1 revoked, 2 suspended. inList is false for an index
// beyond the end.
func (l *statusList) at(index int64) (status byte, inList bool) {
	perByte := 8 / l.bits
	if index/perByte >= int64(len(l.packed)) {
		return 0, false
	}
	shifted := l.packed[index/perByte] >> (index % perByte * l.bits)
	return shifted & (1<<l.bits - 1), true
}

// checkStatusList checks the claims of a list with a valid signature, and unpacks it.
func checkStatusList(claims strict.Value, uri string, rules *rules, now time.Time) (*statusList, error) {
	if !claims.Get("sub").Is(uri) {
		return nil, invalid("sub")
	}
	if !isAbsentOr(claims.Get("iss"), rules.issuer) {
		return nil, refuse(ErrWrongIssuer)
	}
	p := payload{claims: claims}
	if p.seconds("iat").After(now.Add(rules.leeway)) {
		p.refuse(refuse(ErrNotYetValid))
	}
	list := &statusList{expiresAt: p.optionalSeconds("exp"), ttl: p.ttl()}
	if p.err != nil {
		return nil, p.err
	}
	if list.hasExpired(now, rules.leeway) {
		return nil, refuse(ErrExpired)
	}
	if err := list.unpack(claims.Get("status_list")); err != nil {
		return nil, invalid("status_list")
	}
	return list, nil
}

func (l *statusList) hasExpired(now time.Time, leeway time.Duration) bool {
	return !l.expiresAt.IsZero() && !now.Before(l.expiresAt.Add(leeway))
}

// ttl reads ttl, which may be a fraction according to the draft.
func (p *payload) ttl() time.Duration {
	if !p.claims.Has("ttl") {
		return 0
	}
	seconds, ok := p.claims.Get("ttl").Float()
	if !ok || seconds <= 0 {
		p.refuse(invalid("ttl"))
		return 0
	}
	if seconds >= longestLifetime.Seconds() {
		return longestLifetime
	}
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// unpack reads the claim status_list.
func (l *statusList) unpack(claim strict.Value) error {
	perStatus, _ := claim.Get("bits").Whole()
	spelling, isText := claim.Get("lst").Text()
	switch perStatus {
	case 1, 2, 4, 8:
	default:
		return errStatusList
	}
	if !isText {
		return errStatusList
	}
	compressed, err := strict.DecodeBase64URL(spelling)
	if err != nil {
		return err
	}
	l.bits = perStatus
	l.packed, err = inflate(compressed)
	return err
}

// inflate reads exactly one complete zlib stream (RFC 1950), up to a maximum size.
func inflate(compressed []byte) ([]byte, error) {
	rest := bytes.NewReader(compressed)
	stream, err := zlib.NewReader(rest)
	if err != nil {
		return nil, err
	}
	inflated, err := io.ReadAll(io.LimitReader(stream, largestInflated+1))
	if err != nil {
		return nil, err
	}
	if len(inflated) > largestInflated || rest.Len() > 0 {
		return nil, errStatusList
	}
	return inflated, nil
}

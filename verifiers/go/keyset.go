package verifier

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"

	"signet.dev/verifier/internal/strict"
)

// largestKeySet is in bytes; Signet's key sets have a few thousand.
const largestKeySet = 256 * 1024

// RFC 7518 section 3.3 sets the lower bound; the upper bound limits a signature check to 1 ms.
const leastModulusBits, mostModulusBits = 2048, 8192

// The exponent of every key of Signet, and its encoding. If any exponent were accepted, an exponent
// of 1 would make forging easy.
const (
	exponent         = 65537
	exponentSpelling = "AQAB"
)

var (
	errKeySet      = errors.New("not a key set")
	errRepeatedKid = errors.New("two keys of the set have the same kid")
)

// A keySet has the usable keys of a JWK set, by kid.
type keySet map[string]*rsa.PublicKey

// parseKeySet reads a JWK set (RFC 7517 section 5). Unusable keys are ignored, so that Signet may
// add keys of other kinds. Two usable keys with the same kid are an error: a token would not
// identify the key that signed it.
func parseKeySet(document []byte) (keySet, error) {
	if len(document) > largestKeySet {
		return nil, errKeySet
	}
	set, err := strict.ParseObject(document)
	if err != nil {
		return nil, err
	}
	entries := set.Get("keys")
	if !entries.IsList() {
		return nil, errKeySet
	}
	keys := keySet{}
	for entry := range entries.Items() {
		kid, key := usableKey(entry)
		if key == nil {
			continue
		}
		if keys[kid] != nil {
			return nil, errRepeatedKid
		}
		keys[kid] = key
	}
	return keys, nil
}

// usableKey reads a key for RS256; nil if it is not usable. It reads only public members.
func usableKey(jwk strict.Value) (kid string, key *rsa.PublicKey) {
	kid, _ = jwk.Get("kid").Text()
	isRSA := jwk.Get("kty").Is("RSA") && jwk.Get("e").Is(exponentSpelling)
	if !isRSA || kid == "" || !isForRS256(jwk) {
		return "", nil
	}
	spelling, _ := jwk.Get("n").Text()
	octets, err := strict.DecodeBase64URL(spelling)
	// Only the shortest encoding is valid (RFC 7518 section 2).
	if err != nil || len(octets) == 0 || octets[0] == 0 {
		return "", nil
	}
	modulus := new(big.Int).SetBytes(octets)
	if bits := modulus.BitLen(); bits < leastModulusBits || bits > mostModulusBits {
		return "", nil
	}
	return kid, &rsa.PublicKey{N: modulus, E: exponent}
}

func isForRS256(jwk strict.Value) bool {
	mayVerify := !jwk.Has("key_ops")
	for operation := range jwk.Get("key_ops").Items() {
		mayVerify = mayVerify || operation.Is("verify")
	}
	return mayVerify && isAbsentOr(jwk.Get("alg"), "RS256") && isAbsentOr(jwk.Get("use"), "sig")
}

func isAbsentOr(value strict.Value, text string) bool {
	return value == nil || value.Is(text)
}

// checkSignature uses RSASSA-PKCS1-v1_5 with SHA-256, regardless of alg (RFC 7518 section 3.3).
func checkSignature(token jws, key *rsa.PublicKey) error {
	var space [2048]byte // avoids an allocation for most tokens
	digest := sha256.Sum256(append(space[:0], token.signed...))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], token.signature) != nil {
		return refuse(ErrBadSignature)
	}
	return nil
}

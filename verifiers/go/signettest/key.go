package signettest

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
)

// A signingKey signs with RS256.
type signingKey struct {
	kid     string
	private *rsa.PrivateKey
}

// generated has the keys of earlier issuers of this process, because generating a key is slow.
var generated struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

// newKey returns the key with this number, which is the same for all issuers of the process.
func newKey(tb testing.TB, number int) *signingKey {
	tb.Helper()
	generated.Lock()
	defer generated.Unlock()
	for len(generated.keys) <= number {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			tb.Fatal(err)
		}
		generated.keys = append(generated.keys, key)
	}
	return &signingKey{fmt.Sprintf("key-%d", number+1), generated.keys[number]}
}

// public is the key as a JWK (RFC 7518 section 6.3.1).
func (k *signingKey) public() Claims {
	exponent := big.NewInt(int64(k.private.E)).Bytes()
	return Claims{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid,
		"n": encode(k.private.N.Bytes()), "e": encode(exponent),
	}
}

// sign returns a compact JWS (RFC 7515 section 3.1).
func (k *signingKey) sign(tb testing.TB, typ string, changes, claims Claims) string {
	tb.Helper()
	header := Claims{"typ": typ, "alg": "RS256", "kid": k.kid}
	for name, value := range changes {
		header[name] = value
	}
	signed := part(tb, header) + "." + part(tb, claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, k.private, crypto.SHA256, digest[:])
	if err != nil {
		tb.Error(err)
	}
	return signed + "." + encode(signature)
}

func part(tb testing.TB, members Claims) string {
	tb.Helper()
	present := Claims{}
	for name, value := range members {
		if value != nil {
			present[name] = value
		}
	}
	document, err := json.Marshal(present)
	if err != nil {
		tb.Error(err)
	}
	return encode(document)
}

// statusIndex returns the index of a token's status.
func statusIndex(tb testing.TB, token string) int64 {
	tb.Helper()
	parts := strings.Split(token, ".")
	var claims struct {
		Status *struct {
			StatusList struct {
				Idx int64 `json:"idx"`
			} `json:"status_list"`
		} `json:"status"`
	}
	document, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err == nil {
		err = json.Unmarshal(document, &claims)
	}
	if err != nil || claims.Status == nil {
		tb.Fatal("the token has no status: only tokens of users can be logged out")
	}
	return claims.Status.StatusList.Idx
}

// pack compresses statuses for a list (draft-ietf-oauth-status-list section 4.2).
func pack(tb testing.TB, statuses []byte) string {
	tb.Helper()
	var packed bytes.Buffer
	writer := zlib.NewWriter(&packed)
	_, err := writer.Write(statuses)
	if closing := writer.Close(); err == nil {
		err = closing
	}
	if err != nil {
		tb.Error(err)
	}
	return encode(packed.Bytes())
}

func encode(data []byte) string {
	return base64.RawURLEncoding.EncodeToString(data)
}

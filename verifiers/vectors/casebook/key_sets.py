"""Invalid key sets, and keys that must not be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import CLAIMS, HEADER, Case, Members, accepted, refused
from casebook.forge import Forge, integer, jwk, new_key
from casebook.signature import point
from casebook.text import (
    ABSENT,
    base64url,
    change,
    compact,
    label,
    nested,
    prepend,
    signing_input,
    with_stray_bits,
)

UNUSABLE: list[tuple[str, list[Any]]] = [
    ("kty", [ABSENT, None, "", "rsa", "EC", "oct", 7]),
    ("use", [None, "", "enc", "SIG", "sig ", ["sig"], True]),
    ("alg", [
        None, "", "PS256", "RS384", "RS512", "HS256", "RSA-OAEP", "none", "rs256", ["RS256"],
    ]),
    ("key_ops", [
        None, [], "verify", ["sign"], ["encrypt"], ["Verify"], [["verify"]], {"verify": 1},
    ]),
    ("kid", [ABSENT, None, "", 1, ["key-1"], "Key-1"]),
    ("e", [
        ABSENT, None, "", "AQ", "Aw", "AAEAAQ", "AQAB=", "AQAC", 65537, ["AQAB"], "AQABAAE",
    ]),
    ("n", [ABSENT, None, "", "AQAB", 7, "n", []]),
]
"""Members of a key, and the values that make the key unusable."""

USABLE: list[tuple[str, Members]] = [
    ("a key with only the required members", {"use": ABSENT, "alg": ABSENT}),
    ("a key with key_ops verify", {"key_ops": ["verify"]}),
    ("a key with key_ops sign and verify", {"use": ABSENT, "key_ops": ["sign", "verify"]}),
    ("a key with unknown members", {"x5t": "AAAA", "x5c": ["AAAA"], "exp": 1, "x": {"y": 7}}),
    # These values are not those of a real key.
    ("a key with private members, which are ignored",
     {"d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQ", "dq": "AQ", "qi": "AQ", "oth": []}),
]
"""Name of the case, and changes to a key."""

NOT_KEYS: list[Any] = [None, 7, True, "key-1", [], {}]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields cases that have a key set of their own."""
    yield from invalid_key_sets(forge)
    yield from unusable_keys(forge)
    yield from other_keys(forge)
    yield from key_sizes(forge)


def invalid_key_sets(forge: Forge) -> Iterator[Case]:
    """Yields documents that are not valid key sets, so that none of their keys is used."""
    valid = forge.jwks()
    text = compact(valid)
    key, other_key = valid["keys"]
    rows: list[tuple[str, Any]] = [
        ("that is empty", ""),
        ("that is an HTML page", "<!doctype html><title>Not found</title>"),
        ("that is truncated", text[:-1]),
        ("with trailing bytes", f"{text}x"),
        ("that occurs twice", text + text),
        ("with a byte order mark", f"\ufeff{text}"),
        ("with a trailing comma", f"{text[:-1]},}}"),
        ("with NaN", prepend(valid, '"x":NaN')),
        ("that is null", "null"),
        ("that is a list of keys", valid["keys"]),
        ("that is a key", key),
        ("that is a number", 7),
        ("without keys", {}),
        ("with Keys instead of keys", {"Keys": valid["keys"]}),
        ("with keys null", {"keys": None}),
        ("with keys that are an object", {"keys": {"key-1": key}}),
        ("with keys that are a string", {"keys": text}),
        ("with a usable key twice", forge.jwks(key)),
        ("with two usable keys with the kid of the token",
         forge.jwks(jwk(forge.stranger, "key-1"))),
        ("with two usable keys with the same other kid",
         forge.jwks(jwk(forge.stranger, "key-2"))),
        ("with the member keys twice", prepend(valid, '"keys":[]')),
        ("with an unknown member twice", prepend(valid, '"x":1,"x":2')),
        ("with kid twice in a key", with_key(prepend(key, '"kid":"key-2"'))),
        ("with n twice in a key", with_key(prepend(key, f'"n":"{other_key["n"]}"'))),
        ("with n twice in a key, once with an escape",
         with_key(prepend(key, rf'"\u006e":"{other_key["n"]}"'))),
        ("with a member twice in an unusable key",
         with_key(f'{compact(key)},{{"kty":"EC","x":"a","x":"b"}}')),
        ("with a depth of 200", prepend(valid, f'"x":{nested(199)}')),
    ]
    for name, jwks in rows:
        yield refused(
            f"a key set {name}",
            "RFC 7517 sections 4 and 5: not a key set, or two usable keys with the same kid",
            forge.token(), "keys_unavailable", jwks=jwks,
        )


def with_key(text: str) -> str:
    """Returns a key set whose key is the text `text`."""
    return f'{{"keys":[{text}]}}'


def unusable_keys(forge: Forge) -> Iterator[Case]:
    """Yields key sets in which the token's key is unusable."""
    key = jwk(forge.first, "key-1")
    for member, wrong in UNUSABLE:
        for value in wrong:
            yield refused(
                f"a key with {member} {label(value)}", "an unusable key is ignored",
                forge.token(), "unknown_key", jwks={"keys": [change(key, **{member: value})]},
            )
    modulus = key["n"]
    modulus_bytes = forge.first.public_key().public_numbers().n.to_bytes(256, "big")
    for name, spelling in [
        ("with padding", f"{modulus}=="),
        ("with a line feed", f"{modulus}\n"),
        ("with stray trailing bits", with_stray_bits(modulus)),
        ("with a leading zero byte", base64url(b"\0" + modulus_bytes)),
    ]:
        yield refused(
            f"a key with n {name}", "RFC 7518 section 2: only the canonical spelling",
            forge.token(), "unknown_key", jwks={"keys": [change(key, n=spelling)]},
        )
    yield refused(
        "a key set without any key", "a valid key set without the key",
        forge.token(), "unknown_key", jwks={"keys": []},
    )
    yield refused(
        "a key set of values that are not keys", "these values are ignored",
        forge.token(), "unknown_key", jwks={"keys": [*NOT_KEYS, [key]]},
    )
    yield refused(
        "a symmetric key", "RFC 8725 section 2.1", forge.token(), "unknown_key",
        jwks={"keys": [{"kty": "oct", "kid": "key-1", "k": base64url(b"secret" * 8)}]},
    )
    yield refused(
        "a kid that is equal only after Unicode composition", "compared byte for byte",
        forge.token(change(HEADER, kid="cle\u0301")), "unknown_key",
        jwks={"keys": [jwk(forge.first, "cl\u00e9")]},
    )


def other_keys(forge: Forge) -> Iterator[Case]:
    """Yields key sets with other keys, which have no effect, and with ignored members."""
    key = jwk(forge.first, "key-1")
    curve = {"kty": "EC", "crv": "P-256", "use": "sig", **point(forge.curve)}
    old_keys = [jwk(forge.stranger, f"old-{number}") for number in range(3)]
    for name, changes in USABLE:
        yield accepted(
            name, "RFC 7517 section 4", forge.token(), jwks={"keys": [change(key, **changes)]}
        )
    for name, keys in [
        ("another key with another kty", [{**curve, "kid": "key-ec"}, key]),
        ("another key with another kty and the same kid", [{**curve, "kid": "key-1"}, key]),
        ("another key with an unknown kty and the same kid",
         [{"kty": "later", "kid": "key-1"}, key]),
        ("another key for encryption with the same kid",
         [jwk(forge.stranger, "key-1", use="enc", alg="RSA-OAEP"), key]),
        ("another key for PS256 with the same kid",
         [key, jwk(forge.stranger, "key-1", alg="PS256")]),
        ("another key with the exponent 3 and the same kid",
         [jwk(forge.stranger, "key-1", e="Aw"), key]),
        ("another key without kid", [change(key, kid=ABSENT), key]),
        ("two other keys with an empty kid",
         [change(key, kid=""), jwk(forge.stranger, ""), key]),
        ("other values that are not keys", [*NOT_KEYS, key]),
        ("one key under two kids", [change(key, kid="key-0"), key]),
        ("three other keys", [*old_keys, key]),
    ]:
        yield accepted(name, "RFC 7517 section 5", forge.token(), jwks={"keys": keys})
    yield accepted(
        "a key set with unknown members", "RFC 7517 section 5",
        forge.token(), jwks={"x": None, **forge.jwks(), "exp": 1},
    )
    for name, kid in [
        ("with non-ASCII characters", "cl\u00e9 \u2713"),
        ("that names a member of every JavaScript object", "constructor"),
        ("__proto__", "__proto__"),
    ]:
        yield accepted(
            f"a kid {name}", "compared byte for byte", forge.token(change(HEADER, kid=kid)),
            jwks={"keys": [jwk(forge.first, kid)]},
        )


def key_sizes(forge: Forge) -> Iterator[Case]:
    """Yields keys around the limits: 2048 to 8192 bits, and the exponent AQAB."""
    header = change(HEADER, kid="own")
    why = "a modulus of 2048 to 8192 bits"
    for bits in [2056, 3072, 4096]:
        key = new_key(bits)
        yield accepted(
            f"a key of {bits} bits", why, forge.token(header, key=key),
            jwks={"keys": [jwk(key, "own")]},
        )
    for bits in [1024, 1536, 2047]:
        key = new_key(bits)
        yield refused(
            f"a key of {bits} bits", why, forge.token(header, key=key), "unknown_key",
            jwks={"keys": [jwk(key, "own")]},
        )
    key = new_key(exponent=3)
    yield refused(
        "a key with the exponent 3 and a signature by it", "the exponent must be AQAB",
        forge.token(header, key=key), "unknown_key", jwks={"keys": [jwk(key, "own")]},
    )
    # These moduli have no private key, so the signature is wrong. If the verifier accepts the
    # public key, the error is bad_signature, otherwise unknown_key.
    for bits, error in [
        (2047, "unknown_key"), (2048, "bad_signature"), (8192, "bad_signature"),
        (8193, "unknown_key"),
    ]:
        wrong_signature = base64url(b"\1" * ((bits + 7) // 8))
        yield refused(
            f"a modulus of {bits} bits that are all 1", why,
            f"{signing_input(header, CLAIMS)}.{wrong_signature}", error,
            jwks={"keys": [jwk(forge.first, "own", n=integer((1 << bits) - 1))]},
        )

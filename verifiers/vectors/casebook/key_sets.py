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
    first,
    nested,
    shown,
    signing_input,
    stray,
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
"""Members of a key, and the values that are invalid for each."""

USABLE: list[tuple[str, Members]] = [
    ("a key with nothing but what is required", {"use": ABSENT, "alg": ABSENT}),
    ("a key with key_ops verify", {"key_ops": ["verify"]}),
    ("a key with key_ops sign and verify", {"use": ABSENT, "key_ops": ["sign", "verify"]}),
    ("a key with unknown members", {"x5t": "AAAA", "x5c": ["AAAA"], "exp": 1, "x": {"y": 7}}),
    # These values are not those of a real key.
    ("a key with private members, which are not read",
     {"d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQ", "dq": "AQ", "qi": "AQ", "oth": []}),
]
"""Name, and changes to a key."""

NO_KEYS: list[Any] = [None, 7, True, "key-1", [], {}]


def cases(forge: Forge) -> Iterator[Case]:
    """Each case has its own key set."""
    yield from no_key_sets(forge)
    yield from unusable_keys(forge)
    yield from keys_beside(forge)
    yield from sizes_of_keys(forge)


def no_key_sets(forge: Forge) -> Iterator[Case]:
    """Documents from which no key is used."""
    usual = forge.jwks()
    text = compact(usual)
    key, beside = usual["keys"]
    rows: list[tuple[str, Any]] = [
        ("that is empty", ""),
        ("that is a page", "<!doctype html><title>Not found</title>"),
        ("that breaks off", text[:-1]),
        ("with bytes after it", f"{text}x"),
        ("that is there twice", text + text),
        ("with a byte order mark", f"\ufeff{text}"),
        ("with a comma at its end", f"{text[:-1]},}}"),
        ("with NaN", first(usual, '"x":NaN')),
        ("that is null", "null"),
        ("that is a list of keys", usual["keys"]),
        ("that is a key", key),
        ("that is a number", 7),
        ("without keys", {}),
        ("with keys in capitals", {"Keys": usual["keys"]}),
        ("with keys null", {"keys": None}),
        ("with keys that are an object", {"keys": {"key-1": key}}),
        ("with keys that are text", {"keys": text}),
        ("with a usable key twice", forge.jwks(key)),
        ("with two usable keys of one kid", forge.jwks(jwk(forge.stranger, "key-1"))),
        ("with two usable keys of a kid that the token does not name",
         forge.jwks(jwk(forge.stranger, "key-2"))),
        ("with keys twice", first(usual, '"keys":[]')),
        ("with a name twice beside the keys", first(usual, '"x":1,"x":2')),
        ("with kid twice in its key", with_key(first(key, '"kid":"key-2"'))),
        ("with n twice in its key", with_key(first(key, f'"n":"{beside["n"]}"'))),
        ("with n twice in its key, once with an escape",
         with_key(first(key, rf'"\u006e":"{beside["n"]}"'))),
        ("with a name twice in a key of no use",
         with_key(f'{compact(key)},{{"kty":"EC","x":"a","x":"b"}}')),
        ("nested 200 deep", first(usual, f'"x":{nested(199)}')),
    ]
    for name, jwks in rows:
        yield refused(
            f"a key set {name}",
            "RFC 7517 sections 4 and 5: a document that is not one, or two usable keys of one kid",
            forge.token(), "keys_unavailable", jwks=jwks,
        )


def with_key(text: str) -> str:
    """A key set with a key that is the text `text`."""
    return f'{{"keys":[{text}]}}'


def unusable_keys(forge: Forge) -> Iterator[Case]:
    """Key sets with the token's key, which must not be used."""
    key = jwk(forge.first, "key-1")
    for member, wrong in UNUSABLE:
        for value in wrong:
            yield refused(
                f"a key with {member} {shown(value)}", "not a usable key: it is ignored",
                forge.token(), "unknown_key", jwks={"keys": [change(key, **{member: value})]},
            )
    modulus = key["n"]
    number = forge.first.public_key().public_numbers().n.to_bytes(256, "big")
    for name, spelling in [
        ("with padding", f"{modulus}=="),
        ("with a line feed", f"{modulus}\n"),
        ("with stray bits at its end", stray(modulus)),
        ("with a zero byte before it", base64url(b"\0" + number)),
    ]:
        yield refused(
            f"a key with n {name}", "RFC 7518 section 2: the one canonical spelling",
            forge.token(), "unknown_key", jwks={"keys": [change(key, n=spelling)]},
        )
    yield refused(
        "a key set without any key", "a key set, though of no use", forge.token(), "unknown_key",
        jwks={"keys": []},
    )
    yield refused(
        "a key set of things that are no keys", "they are ignored", forge.token(), "unknown_key",
        jwks={"keys": [*NO_KEYS, [key]]},
    )
    yield refused(
        "a secret as a key", "RFC 8725 section 2.1", forge.token(), "unknown_key",
        jwks={"keys": [{"kty": "oct", "kid": "key-1", "k": base64url(b"secret" * 8)}]},
    )
    yield refused(
        "a kid that is equal only when composed", "compared byte for byte",
        forge.token(change(HEADER, kid="cle\u0301")), "unknown_key",
        jwks={"keys": [jwk(forge.first, "cl\u00e9")]},
    )


def keys_beside(forge: Forge) -> Iterator[Case]:
    """Other keys that must not matter, and members that are ignored."""
    key = jwk(forge.first, "key-1")
    curve = {"kty": "EC", "crv": "P-256", "use": "sig", **point(forge.curve)}
    old_keys = [jwk(forge.stranger, f"old-{number}") for number in range(3)]
    for name, changes in USABLE:
        yield accepted(
            name, "RFC 7517 section 4", forge.token(), jwks={"keys": [change(key, **changes)]}
        )
    for name, keys in [
        ("a key of another kind beside", [{**curve, "kid": "key-ec"}, key]),
        ("a key of another kind with the same kid", [{**curve, "kid": "key-1"}, key]),
        ("a key of unknown kind with the same kid", [{"kty": "later", "kid": "key-1"}, key]),
        ("a key for encryption with the same kid",
         [jwk(forge.stranger, "key-1", use="enc", alg="RSA-OAEP"), key]),
        ("a key for PS256 with the same kid", [key, jwk(forge.stranger, "key-1", alg="PS256")]),
        ("a key with the exponent 3 and the same kid",
         [jwk(forge.stranger, "key-1", e="Aw"), key]),
        ("a key without kid beside", [change(key, kid=ABSENT), key]),
        ("two keys with an empty kid beside",
         [change(key, kid=""), jwk(forge.stranger, ""), key]),
        ("things that are no keys beside", [*NO_KEYS, key]),
        ("one key under two kids", [change(key, kid="key-0"), key]),
        ("three keys beside", [*old_keys, key]),
    ]:
        yield accepted(name, "RFC 7517 section 5", forge.token(), jwks={"keys": keys})
    yield accepted(
        "a key set with unknown members", "RFC 7517 section 5",
        forge.token(), jwks={"x": None, **forge.jwks(), "exp": 1},
    )
    for name, kid in [
        ("beyond ASCII", "cl\u00e9 \u2713"),
        ("that is a member of every JavaScript object", "constructor"),
        ("__proto__", "__proto__"),
    ]:
        yield accepted(
            f"a kid {name}", "compared byte for byte", forge.token(change(HEADER, kid=kid)),
            jwks={"keys": [jwk(forge.first, kid)]},
        )


def sizes_of_keys(forge: Forge) -> Iterator[Case]:
    """The limits: 2048 to 8192 bits, and the exponent AQAB."""
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
        "a key with the exponent 3, and its signature", "the exponent AQAB",
        forge.token(header, key=key), "unknown_key", jwks={"keys": [jwk(key, "own")]},
    )
    # No private key exists for these. The error shows whether the public key was accepted:
    # then it is bad_signature, otherwise unknown_key.
    for bits, error in [
        (2047, "unknown_key"), (2048, "bad_signature"), (8192, "bad_signature"),
        (8193, "unknown_key"),
    ]:
        made = base64url(b"\1" * ((bits + 7) // 8))
        yield refused(
            f"a modulus of {bits} ones", why, f"{signing_input(header, CLAIMS)}.{made}", error,
            jwks={"keys": [jwk(forge.first, "own", n=integer((1 << bits) - 1))]},
        )

"""Headers that try to choose the algorithm, the key, or the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casebook.case import CLAIMS, HEADER, ISSUER, Case, Members, refused
from casebook.certificate import certificate
from casebook.forge import Forge, jwk, jws
from casebook.text import ABSENT, base64url, change, compact, label, prepend, signing_input

EVIL = "https://evil.example/keys.json"

FORBIDDEN: list[tuple[str, Any]] = [
    ("crit", ["exp"]), ("crit", []), ("crit", None), ("crit", ["b64"]), ("crit", "exp"),
    ("crit", ["http://example.test/unknown"]),
    ("b64", True), ("b64", False), ("b64", None),
    ("jku", EVIL), ("jku", f"{ISSUER}/.well-known/jwks.json"), ("jku", ""), ("jku", None),
    ("x5u", EVIL), ("x5u", None),
    ("jwk", {}), ("jwk", None),
    ("x5c", []), ("x5c", None), ("x5c", ["MIIB"]),
]

ALGORITHMS: list[Any] = [
    ABSENT, None, "", 256, True, ["RS256"], {"alg": "RS256"}, "rs256", "Rs256", "RS256 ",
    " RS256", "RS256\0", "RS-256", "RSA256", "\uff32\uff33256", "HS256", "RS384", "RS512",
    "PS256", "ES256", "EdDSA", "none", "RSA-OAEP", "SHA256withRSA",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
]

TYPES: list[Any] = [
    ABSENT, None, "", "JWT", "jwt", "id+jwt", "logout+jwt", "dpop+jwt", "statuslist+jwt",
    "application/statuslist+jwt", "application/jwt", "at+jwt ", " at+jwt", "at+jwt\0", "at jwt",
    "at%2Bjwt", "at+jwt;v=1", "text/at+jwt", "application/application/at+jwt", "/at+jwt",
    "at+jwtx", 7, True, ["at+jwt"], {"typ": "at+jwt"},
    # Letters that become ASCII when converted to upper case.
    "appl\u0131cat\u0131on/at+jwt",
]

UNKNOWN_KEYS = [
    "key-3", "KEY-1", "key-1 ", "key-1\0", "key-1\0.pem", "../../keys/key-1", "/dev/null",
    "..%2f..%2fkeys%2fkey-1", "' OR 1=1 --", "key-1'; DROP TABLE keys; --", "$(reboot)",
    "https://evil.example/keys.json#key-1", "a\r\nSet-Cookie: b", "\u202ekey-1", "*", "0",
    "__proto__", "constructor", "toString", "hasOwnProperty", "keys", "undefined", "null",
    "ke\u0443-1",
]

INVALID_KEY_IDS: list[Any] = [ABSENT, "", None, 1, True, ["key-1"], {"kid": "key-1"}]

SEVERAL_FAULTS: list[tuple[str, Members, str]] = [
    ("a forbidden parameter and a wrong alg: the parameter is reported",
     {"jwk": {}, "alg": "none"}, "forbidden_header"),
    ("a wrong alg and a wrong typ: alg is reported", {"alg": "HS256", "typ": "JWT"},
     "unsupported_algorithm"),
    ("a wrong typ and an unknown key: typ is reported", {"typ": "JWT", "kid": "key-3"},
     "wrong_type"),
]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields tokens signed by a genuine key, and tokens that provide the key of an attacker."""
    yield from forbidden(forge)
    yield from attacker_keys(forge)
    yield from algorithms(forge)
    yield from types(forge)
    yield from key_ids(forge)
    yield from several_faults(forge)


def forbidden(forge: Forge) -> Iterator[Case]:
    """Yields tokens with parameters that are refused whatever their value is."""
    why = "RFC 7515 section 4.1, RFC 8725 section 3.10"
    for name, value in FORBIDDEN:
        yield refused(
            f"{name} {label(value)}", why,
            forge.token(change(HEADER, **{name: value})), "forbidden_header",
        )
    yield refused(
        "jwk with the issuer's own key", why,
        forge.token(change(HEADER, jwk=jwk(forge.first, "key-1"))), "forbidden_header",
    )
    yield refused(
        "crit written with an escape", why,
        forge.token(prepend(HEADER, r'"\u0063rit":["exp"]')), "forbidden_header",
    )
    unencoded = change(HEADER, b64=False, crit=["b64"])
    yield refused(
        "b64 and crit, with a signature over the encoded payload", "RFC 7797 section 6",
        forge.token(unencoded), "forbidden_header",
    )
    yield refused(
        "b64 and crit, with a signature over the unencoded payload", "RFC 7797 section 3",
        unencoded_payload_token(forge, unencoded), "forbidden_header",
    )


def unencoded_payload_token(forge: Forge, header: Members) -> str:
    """Returns a token whose signature covers the unencoded payload."""
    signature = jws(f"{base64url(header)}.{compact(CLAIMS)}", forge.first).rsplit(".", 1)[1]
    return f"{signing_input(header, CLAIMS)}.{signature}"


def attacker_keys(forge: Forge) -> Iterator[Case]:
    """Yields the attacks that the refused parameters would allow, with the key of an attacker."""
    for kid in ["key-1", "evil"]:
        parameters: list[tuple[str, Any]] = [
            ("jwk", jwk(forge.stranger, kid)),
            ("jku", EVIL),
            ("x5u", "https://evil.example/chain.pem"),
            ("x5c", [certificate(forge.stranger)]),
        ]
        for name, value in parameters:
            yield refused(
                f"{name} of an attacker, kid {kid}",
                "RFC 8725 section 3.10: only the issuer's keys, and nothing is fetched",
                forge.token(change(HEADER, kid=kid, **{name: value}), key=forge.stranger),
                "forbidden_header",
            )


def algorithms(forge: Forge) -> Iterator[Case]:
    """Yields tokens with other algorithm names and a genuine RS256 signature."""
    for value in ALGORITHMS:
        yield refused(
            f"alg {label(value)} with a genuine signature",
            "RFC 8725 section 3.1: alg must be RS256, byte for byte",
            forge.token(change(HEADER, alg=value)), "unsupported_algorithm",
        )
    yield refused(
        "alg only in __proto__", "RFC 8725 section 3.1: alg is missing",
        forge.token(prepend(change(HEADER, alg=ABSENT), '"__proto__":{"alg":"RS256"}')),
        "unsupported_algorithm",
    )


def types(forge: Forge) -> Iterator[Case]:
    """Yields tokens that are not access tokens."""
    for value in TYPES:
        yield refused(
            f"typ {label(value)}", "RFC 9068 section 4, RFC 8725 section 3.11",
            forge.token(change(HEADER, typ=value)), "wrong_type",
        )
    id_token = change(
        CLAIMS, jti=ABSENT, client_id=ABSENT, scope=ABSENT, user_id=ABSENT,
        nonce="n", at_hash="AAAA",
    )
    yield refused(
        "an ID token", "RFC 8725 section 3.12",
        forge.token(change(HEADER, typ="JWT"), id_token), "wrong_type",
    )
    yield refused(
        "an ID token without typ", "RFC 8725 section 3.12",
        forge.token(change(HEADER, typ=ABSENT), id_token), "wrong_type",
    )
    yield refused(
        "a status list token instead of an access token", "RFC 8725 section 3.12",
        forge.list_token(), "wrong_type",
    )


def key_ids(forge: Forge) -> Iterator[Case]:
    """Yields tokens with an unknown or invalid `kid`."""
    why = "RFC 8725 section 3.10: kid is only used to look up a key"
    for kid in UNKNOWN_KEYS:
        yield refused(
            f"kid {label(kid)}", why, forge.token(change(HEADER, kid=kid)), "unknown_key"
        )
    yield refused(
        "kid of 1,000 characters", why, forge.token(change(HEADER, kid="k" * 1000)), "unknown_key"
    )
    for value in INVALID_KEY_IDS:
        yield refused(
            f"kid {label(value)}", "RFC 7515 section 4.1.4: a string that is not empty",
            forge.token(change(HEADER, kid=value)), "malformed",
        )
    # The header is truncated, because any token above 8 KiB exceeds the limit.
    header = base64url(change(HEADER, kid="k" * 65536))[:9000]
    yield refused(
        "kid of 64 KiB", "at most 8 KiB", f"{header}.{base64url(CLAIMS)}.AAAA", "malformed"
    )


def several_faults(forge: Forge) -> Iterator[Case]:
    """Yields tokens with several faults. The first failing step determines the error."""
    why = "the first failing step determines the error"
    for name, changes, error in SEVERAL_FAULTS:
        yield refused(name, why, forge.token(change(HEADER, **changes)), error)
    yield refused(
        "an unknown key and an invalid signature: the key is reported", why,
        f"{signing_input(change(HEADER, kid='key-3'), CLAIMS)}.AAAA", "unknown_key",
    )
    yield refused(
        "an invalid signature and wrong claims: the signature is reported", why,
        f"{signing_input(HEADER, change(CLAIMS, iss='x', exp=1))}.AAAA", "bad_signature",
    )

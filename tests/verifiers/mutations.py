"""Mutations of a draft, by stage: objects, texts, signatures, tokens."""

# ruff: noqa: RUF001 - characters that look alike are intended.

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import lists
import signatures
from draft import AUDIENCE, LIST_URI, NOW, Draft, Raw
from values import (
    INVALID_JSON,
    INVALID_NUMBERS,
    LIMITS,
    NUMBERS,
    TEXTS,
    TIMES,
    VALID_JSON,
    VALUES,
)

Mutation = Callable[[Draft, Random], None]

HEADER_NAMES = ["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5u", "x5t", "cty", "zip"]
CLAIM_NAMES = [
    "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "sid", "auth_time", "scope",
    "user_id", "email", "status", "nonce", "at_hash",
]
LIST_NAMES = ["iss", "sub", "iat", "exp", "nbf", "ttl", "status_list", "aud"]
KEY_NAMES = ["kty", "use", "alg", "kid", "n", "e", "key_ops", "d", "x5c"]
TIME_NAMES = {"exp", "iat", "nbf", "auth_time", "ttl"}


# --- the objects --------------------------------------------------------------------------------


def header_member(draft: Draft, rng: Random) -> None:
    """Replaces, adds or removes a member of the header."""
    change(draft.header, HEADER_NAMES, rng)


def claim(draft: Draft, rng: Random) -> None:
    """Replaces, adds or removes a claim."""
    change(draft.claims, CLAIM_NAMES, rng)


def list_header_member(draft: Draft, rng: Random) -> None:
    """Replaces, adds or removes a member of the list's header."""
    change(draft.list_header, HEADER_NAMES[:6], rng)


def list_claim(draft: Draft, rng: Random) -> None:
    """Replaces, adds or removes a claim of the list."""
    change(draft.list_claims, LIST_NAMES, rng)


def change(members: dict[str, Any], names: list[str], rng: Random) -> None:
    """Replaces, adds or removes one member."""
    name = rng.choice(names)
    kind = rng.randrange(8)
    if kind == 0:
        members.pop(name, None)
    elif kind == 1:
        # Names that a lax parser may accept instead of the correct one.
        other = rng.choice([name.upper(), name.title(), f"{name} ", f"{name}\0", name[:-1]])
        members[other] = members.pop(name) if rng.random() < 0.5 and name in members else "x"
    elif name in TIME_NAMES and kind < 6:
        members[name] = rng.choice(TIMES) if rng.random() < 0.6 else Raw(rng.choice(NUMBERS))
    elif kind < 6:
        members[name] = rng.choice(TEXTS)
    else:
        members[name] = rng.choice(VALUES)


def audience(draft: Draft, rng: Random) -> None:
    """Other values of `aud`: lists, also with members that are no strings, and objects."""
    others: list[Any] = [rng.choice([*TEXTS, *VALUES]) for _ in range(rng.randrange(4))]
    if rng.random() < 0.7:
        others.insert(rng.randint(0, len(others)), AUDIENCE)
    draft.claims["aud"] = others if rng.random() < 0.8 else rng.choice([[others], {"aud": others}])


def other_audience(draft: Draft, rng: Random) -> None:
    """An audience with several Unicode forms, and a token for one of these."""
    names = ["é", "e\u0301", "𝄞", "K", "\u212a", "ſ", "s", "\ufffd", "\0"]
    draft.settings["audience"] = rng.choice(names)
    draft.claims["aud"] = rng.choice(names)


def status(draft: Draft, rng: Random) -> None:
    """Changes the reference to the status list."""
    reference = {"idx": 7, "uri": LIST_URI}
    change(reference, ["idx", "uri"], rng)
    if rng.random() < 0.5:
        reference["idx"] = Raw(rng.choice([*NUMBERS, *map(str, range(120, 136))]))
    draft.claims["status"] = rng.choice([{"status_list": reference}] * 6 + [reference, [reference]])


def no_status(draft: Draft, _: Random) -> None:
    """Removes the reference to the status list."""
    draft.claims.pop("status", None)


def typ_jwt(draft: Draft, rng: Random) -> None:
    """`typ` JWT, with or without the setting that accepts it, and claims of ID tokens."""
    draft.settings["accept_typ_jwt"] = rng.random() < 0.8
    draft.header["typ"] = rng.choice(["JWT", "jwt", "application/JWT", "at+jwt"])
    for name in ("nonce", "at_hash"):
        if rng.random() < 0.2:
            draft.claims[name] = rng.choice(VALUES)
    if rng.random() < 0.4:
        draft.claims.pop(rng.choice(["client_id", "jti", "scope"]), None)
    elif rng.random() < 0.5:
        draft.claims[rng.choice(["client_id", "jti", "scope"])] = rng.choice(["", *VALUES])


def other_now(draft: Draft, rng: Random) -> None:
    """Sets the time to a boundary of a validity period."""
    distance = rng.choice([1, -1]) * rng.choice(LIMITS)
    draft.settings["now"] = NOW + distance + rng.choice([900, 0, -10])


def length(draft: Draft, rng: Random) -> None:
    """A token whose length is close to the maximum."""
    others = sum(len(str(value)) for value in draft.claims.values())
    draft.claims["x"] = "x" * max(0, 5500 - others + rng.randrange(600))


def deep(draft: Draft, rng: Random) -> None:
    """Nested lists and objects whose depth is close to the maximum."""
    depth = rng.choice([1, 50, 120, *range(124, 131), 500, 1500])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    inner = rng.choice(["", "0"]) if opening == "[" else "0"
    if len(opening + closing) > 7:
        depth //= 2
    part = rng.choice([draft.header, draft.claims, draft.list_header, draft.list_claims])
    part["x"] = Raw(opening * min(depth, 600) + inner + closing * min(depth, 600))


def key(draft: Draft, rng: Random) -> None:
    """Changes a member of a key in the key set."""
    chosen = rng.choice([item for item in draft.keys if isinstance(item, dict)])
    name = rng.choice(KEY_NAMES)
    if name == "n" and rng.random() < 0.8:
        # An earlier mutation may have removed `n`.
        chosen["n"] = modulus(chosen.get("n"), rng)
    elif name == "key_ops":
        operations = ["verify", "sign", "Verify", *VALUES]
        chosen["key_ops"] = [rng.choice(operations) for _ in range(rng.randrange(3))]
    else:
        change(chosen, [name], rng)


def modulus(genuine: Any, rng: Random) -> Any:
    """Another encoding of a modulus, or another number."""
    if not isinstance(genuine, str):
        return genuine
    at = rng.randrange(len(genuine) + 1)
    return rng.choice([
        f"{genuine}=", f"{genuine}==", f"AA{genuine}", f"AAAA{genuine}", genuine[:-1], genuine[4:],
        genuine * 2, genuine * 4, genuine * 4 + "AAAA", "", "_" * 342 + "w", "A" * 342,
        f"{genuine[:at]} {genuine[at:]}", f"{genuine[:at]}\n{genuine[at:]}",
        genuine.replace("-", "+"), genuine.replace("_", "/"), genuine[:-1] + rng.choice("ABgQwx"),
        f"{genuine[:at]}{rng.choice('AQgw_-')}{genuine[at + 1:]}", "B" + genuine[1:],
    ])


def key_set(draft: Draft, rng: Random) -> None:
    """Repeats, removes or reorders keys, or inserts values that are no keys."""
    genuine = next(item for item in draft.keys if isinstance(item, dict))
    kind = rng.randrange(6)
    if kind == 0:
        draft.keys.append(dict(genuine))
    elif kind == 1:
        draft.keys.remove(genuine)
        draft.keys.append({"kty": "EC", "kid": "key-1", "crv": "P-256", "x": "", "y": ""})
    elif kind == 2:
        draft.keys.reverse()
    elif kind == 3:
        draft.keys.insert(0, rng.choice(VALUES))
    elif kind == 4:
        draft.keys.append({**genuine, "kid": rng.choice(TEXTS)})
    else:
        draft.keys.append({**genuine, "use": "enc"})


# --- the texts ----------------------------------------------------------------------------------


def part(draft: Draft, rng: Random) -> str:
    """The name of a text. Those of the token are chosen most often."""
    weights = {"header": 3, "claims": 4, "list_header": 1, "list_claims": 2, "jwks": 1}
    return rng.choices(list(weights), list(weights.values()))[0]


def added_member(draft: Draft, rng: Random) -> None:
    """Adds a member that verifiers ignore, with an unusual value or name."""
    value = rng.choice(VALID_JSON if rng.random() < 0.4 else INVALID_JSON)
    name = rng.choice(['"x"'] * 6 + ['""', '"\\u0078"', "x", "'x'", '"__proto__"', '"toString"'])
    splice(draft, part(draft, rng), f"{name}:{value}", rng)


def repeated_member(draft: Draft, rng: Random) -> None:
    """Repeats a name, possibly with an escaped character."""
    where = part(draft, rng)
    names = {"header": HEADER_NAMES[:3], "list_header": HEADER_NAMES[:3], "jwks": ["keys"]}
    name = rng.choice(names.get(where, CLAIM_NAMES if where == "claims" else LIST_NAMES))
    if rng.random() < 0.5:
        at = rng.randrange(len(name))
        code = f"\\u{ord(name[at]):04x}"
        name = name[:at] + (code if rng.random() < 0.5 else code.replace("a", "A")) + name[at + 1:]
    splice(draft, where, f'"{name}":{rng.choice(["1", "null", "[]"])}', rng)


def splice(draft: Draft, where: str, members: str, rng: Random) -> None:
    """Inserts members at the start or the end of an object."""
    text, more = draft.texts[where], members.encode(errors="surrogatepass")
    if rng.random() < 0.5:
        draft.texts[where] = text.replace(b"{", b"{" + more + b",", 1)
    else:
        draft.texts[where] = text[:-1] + b"," + more + text[-1:]


def rewritten_number(draft: Draft, rng: Random) -> None:
    """Writes a number of the text differently."""
    where = rng.choice(["claims", "list_claims"])
    text = draft.texts[where]
    positions = range(1, len(text))
    digits = [at for at in positions if text[at:at + 1].isdigit() and text[at - 1] in b":"]
    if digits:
        start = end = rng.choice(digits)
        while text[end:end + 1].isdigit():
            end += 1
        number = text[start:end].decode()
        other = rng.choice([
            f"{number}.0", f"{number}e0", f"{number}E+0", f"0{number}", f"-{number}", f"+{number}",
            f"{number}.", f"{number}00e-2", f'"{number}"', f"{number[:-1]}.{number[-1]}e1",
            f"[{number}]", f"{number}.5", f"{number}n", f" {number} ", f"{number}\x00",
            rng.choice(NUMBERS), rng.choice(INVALID_NUMBERS),
        ])
        draft.texts[where] = text[:start] + other.encode() + text[end:]


def escaped(draft: Draft, rng: Random) -> None:
    """Replaces a character by a valid or invalid escape."""
    where = part(draft, rng)
    text = draft.texts[where]
    positions = range(len(text))
    letters = [at for at in positions if text[at:at + 1].isalpha() and text[at - 1:at] != b"\\"]
    if letters:
        at = rng.choice(letters)
        code = text[at]
        other = rng.choice([
            f"\\u{code:04x}", f"\\u{code:04X}", f"\\U{code:04x}", f"\\x{code:02x}",
            f"\\u{code:03x}", f"\\u{{{code:x}}}", f"&#{code};", f"%{code:02x}",
            f"\\u00{code:02x}\\", f"\\{chr(code)}",
        ])
        draft.texts[where] = text[:at] + other.encode() + text[at + 1:]


OCTETS = [
    b"\xff", b"\xfe", b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80",
    b"\xed\xbf\xbf", b"\xed\xa0\xb4\xed\xb4\x9e", b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9d\x84", b"\xef\xbb\xbf",
    b"\xef\xbf\xbf", b"\xef\xb7\x90", b"\x00", b"\x1f", b"\x7f", b"\t", b"\n", b"\r", b"\x0b",
    b"\x0c", b"\xc2\xa0",
    b"\xe2\x80\xa8", b"\xc2\x85", b" ", b",", b":", b'"', b"\\", b"{", b"}", b"[", b"]", b"/", b"0",
    b"\xcc\x81", b"\xf0\x9d\x84\x9e", b"'", b"#", b"//", b"/**/",
]


def inserted(draft: Draft, rng: Random) -> None:
    """Inserts octets at the start, at the end, beside a JSON delimiter, or at a random position."""
    where = part(draft, rng)
    text = draft.texts[where]
    signs = b'{}[],:"'
    borders = [at for at in range(1, len(text)) if text[at - 1] in signs or text[at] in signs]
    at = rng.choice([0, len(text), rng.choice(borders or [0]), rng.randint(0, len(text))])
    draft.texts[where] = text[:at] + rng.choice(OCTETS) + text[at:]


def damaged(draft: Draft, rng: Random) -> None:
    """Changes, removes or doubles an octet, or truncates the text."""
    where = part(draft, rng)
    text = draft.texts[where]
    at = rng.randrange(len(text)) if text else 0
    changed = bytes([text[at] ^ 1 << rng.randrange(8)]) if text else b""
    draft.texts[where] = rng.choice([
        text[:at] + changed + text[at + 1:], text[:at] + text[at + 1:], text[:at],
        text[:at] + text[at:at + 1] * 2 + text[at + 1:],
    ])


def enclosed(draft: Draft, rng: Random) -> None:
    """Extends, encloses or truncates the whole text, or changes its encoding."""
    where = part(draft, rng)
    text = draft.texts[where]
    draft.texts[where] = rng.choice([
        text + b"{}", text + text, text + b"\0", b"[" + text + b"]", b" \t\r\n" + text + b"\r\n\t ",
        b"\xef\xbb\xbf" + text, text.decode(errors="replace").encode("utf-16"), b"", b"{}", b"null",
        text.decode(errors="replace").encode("utf-16-be"), b"\x1e" + text, text + b"\xef\xbb\xbf",
        text.decode(errors="replace").encode("utf-32"), text + b" " * rng.randrange(9), text + b"x",
        b"\x0c" + text, b'"' + text + b'"', text[:1], text[1:], text + b",", b"//\n" + text,
    ])


# --- the signatures -----------------------------------------------------------------------------


def other_signature(draft: Draft, rng: Random) -> None:
    """Replaces the token's signature by an invalid one."""
    draft.signing = signatures.other(rng)


def other_list_signature(draft: Draft, rng: Random) -> None:
    """Replaces the list's signature by an invalid one."""
    draft.list_signing = signatures.other(rng)


def odd_block(draft: Draft, rng: Random) -> None:
    """Signs a PKCS #1 block that only a lax parser accepts."""
    draft.signing, exempt = signatures.odd_block(rng)
    draft.exempt |= exempt


# --- the tokens ---------------------------------------------------------------------------------


def changed_token(draft: Draft, rng: Random) -> None:
    """Changes the text of the token."""
    draft.token = changed_text(draft.token, rng)


def changed_list(draft: Draft, rng: Random) -> None:
    """Changes the text of the status list token."""
    draft.status_list = changed_text(draft.status_list or "", rng)


def no_list(draft: Draft, _: Random) -> None:
    """Makes the status list unavailable."""
    draft.status_list = None


INSERTED_INTO_TOKENS = [
    "=", "==", "\n", " ", "\t", "\r\n", "\0", "+", "/", ".", "..", "-", "_", "A", "AA", "%3D",
    "%2e", "é", "\ufeff", "．", "Ａ", "\x7f", "~", ",", ":", "𝄞", "\u2028", "\u0662", "ſ",
]


def changed_text(token: str, rng: Random) -> str:
    """A token with inserted, removed or moved characters or parts."""
    at = rng.choice([0, len(token), rng.randint(0, len(token)), token.rfind("."), token.find(".")])
    first = min(at + 1, len(token))
    parts = token.split(".")
    kind = rng.randrange(12)
    if kind < 5:
        return token[:at] + rng.choice(INSERTED_INTO_TOKENS) + token[at:]
    if kind == 5:
        return token[:at] + token[first:]
    if kind == 6:
        return token[:at] + rng.choice("AQgw_-Bz") + token[first:]
    if kind == 7:
        # May set padding bits, which do not belong to a byte.
        part = rng.randrange(len(parts))
        parts[part] = parts[part][:-1] + rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    elif kind == 8:
        parts[rng.randrange(len(parts))] += rng.choice(["=", "==", "===", "A", "AA", "AAA", "AAAA"])
    elif kind == 9:
        parts[rng.randrange(len(parts))] = ""
    elif kind == 10:
        return rng.choice([
            f"Bearer {token}", f"{token}\n", f" {token}", f'"{token}"', token.replace("-", "+"),
            token.replace("_", "/"), token.upper(), token.replace(".", "..", 1), f".{token}", "",
            ".", "..", "...", token + ".", token[: rng.randint(0, len(token))], token * 9,
            f"{token}~",
        ])
    else:
        rng.shuffle(parts)
    return ".".join(parts)


STAGES: list[dict[Mutation, int]] = [
    {
        header_member: 10, claim: 14, list_header_member: 3, list_claim: 6, audience: 4,
        other_audience: 2, status: 6, no_status: 3, typ_jwt: 5, other_now: 3, length: 1, deep: 3,
        key: 4, key_set: 2, lists.other_list: 8, lists.other_statuses: 3,
    },
    {
        added_member: 8, repeated_member: 5, rewritten_number: 5, escaped: 4, inserted: 8,
        damaged: 5, enclosed: 4,
    },
    {other_signature: 3, other_list_signature: 1, odd_block: 1},
    {changed_token: 8, changed_list: 2, no_list: 1},
]
"""The mutations of each stage with their weights."""

ON_SIGNED: dict[Mutation, int] = {changed_token: 8, changed_list: 3, no_list: 1}
"""The mutations of a signed token of `cases.json`, with their weights."""

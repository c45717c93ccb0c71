"""Headers and payloads that a strict JSON parser must reject."""

from __future__ import annotations

from collections.abc import Iterator

from casebook.case import CLAIMS, HEADER, STATUS, Case, Members, refused
from casebook.forge import Forge
from casebook.text import Text, change, compact, nested, prepend, to_bytes, with_raw

NOT_UTF8 = [
    ("has a byte that is not UTF-8", b"\xff"),
    ("has an overlong UTF-8 sequence", b"\xc0\xaf"),
    ("has a surrogate in UTF-8", b"\xed\xa0\x80"),
    ("has a code point above U+10FFFF", b"\xf4\x90\x80\x80"),
    ("has a truncated UTF-8 sequence", b"\xe2\x82"),
]

NOT_JSON = [
    ("has half a surrogate pair", r'"x":"\ud800"'),
    ("has a reversed surrogate pair", r'"x":"\udd1e\ud834"'),
    ("has a name with half a surrogate pair", r'"\udfff":1'),
    ("has a name without quotes", "x:1"),
    ("has NaN", '"x":NaN'),
    ("has Infinity", '"x":-Infinity'),
    ("has a number with a leading zero", '"x":01'),
    ("has a number with a plus", '"x":+1'),
    ("has a number with a trailing decimal point", '"x":1.'),
    ("has a number with a leading decimal point", '"x":.5'),
    ("has a hexadecimal number", '"x":0x10'),
    ("has a line feed in a string", '"x":"a\nb"'),
    ("has a NUL in a string", '"x":"a\0b"'),
    ("has an invalid escape", r'"x":"\x41"'),
    ("has a string in single quotes", "\"x\":'a'"),
    ("has True in title case", '"x":True'),
    ("has a comment", '/**/"x":1'),
    ("has two commas", '"x":1,'),
]
"""Names of cases, and invalid members that are inserted at the beginning."""

TWICE_IN_HEADER = [
    ("alg twice, first the value none", '"alg":"none"'),
    ("alg twice, both RS256", '"alg":"RS256"'),
    ("alg twice, once with an escape", r'"\u0061lg":"none"'),
    ("kid twice", '"kid":"key-2"'),
    ("typ twice", '"typ":"JWT"'),
    ("an unknown parameter twice", '"x":1,"x":1'),
    ("a member twice within a parameter", '"x":{"a":1,"a":2}'),
    ("a parameter __proto__ twice", '"__proto__":1,"__proto__":2'),
]

TWICE_IN_PAYLOAD = [
    ("sub twice, first that of another user", '"sub":"bob"'),
    ("sub twice, both the same", f'"sub":"{CLAIMS["sub"]}"'),
    ("sub twice, once with an escape", r'"\u0073ub":"bob"'),
    ("sub twice, once with an escape in its middle", r'"s\u0075b":"bob"'),
    ("exp twice", '"exp":9000000000'),
    ("aud twice", '"aud":"x"'),
    ("iss twice", '"iss":"x"'),
    ("user_id twice", '"user_id":"bob"'),
    ("status twice", f'"status":{{}},"status":{compact(STATUS)}'),
    ("an unknown claim twice", '"x":1,"x":1'),
    ("a member twice within a claim", '"x":{"a":1,"a":2}'),
    ("a member twice within a list", '"x":[0,{"a":1,"b":2,"a":3}]'),
    ("a member twice at a great depth", '"x":[[[{"y":{"z":[{"a":1,"a":1}]}}]]]'),
    ("an empty name twice", '"":1,"":2'),
    ("a name with an escaped quote twice", r'"a\"":1,"a\u0022":2'),
    ("a name with an escaped backslash twice", r'"a\\":1,"a\u005c":2'),
    ("a name with an escaped slash twice", r'"a\/":1,"a/":2'),
    ("a non-ASCII name twice, once with escapes", r'"𝄞":1,"\ud834\udd1e":2'),
    ("a claim __proto__ twice", '"__proto__":1,"__proto__":2'),
    ("a claim constructor twice", '"constructor":1,"constructor":2'),
]

DEEP = [
    ("1,500 nested lists", nested(1500)),
    ("1,500 lists that are never closed", "[" * 1500),
    ("500 nested objects", '{"a":' * 500 + "0" + "}" * 500),
    ("127 nested lists in an object, a depth of 128", nested(127)),
]


def cases(forge: Forge) -> Iterator[Case]:
    """Yields tokens with a genuine signature that are `malformed`."""
    yield from objects(forge)
    yield from repeated_names(forge)
    yield from depth(forge)


def objects(forge: Forge) -> Iterator[Case]:
    """Yields tokens with a part that is not an object, not JSON, or not UTF-8."""
    why = "RFC 7515 section 5.2, RFC 7519 section 7.2, RFC 8259"
    for name, text in not_objects(HEADER):
        yield refused(f"a header that {name}", why, forge.token(text), "malformed")
    for name, text in not_objects(CLAIMS):
        yield refused(f"a payload that {name}", why, forge.claims(text), "malformed")
    # Python cannot convert more than 4,300 digits. The error must still be `malformed`.
    digits = f'{{"x":{"9" * 4400}'
    yield refused(
        "a header that is truncated after 4,400 digits", why, forge.token(digits, "{}"), "malformed"
    )
    yield refused(
        "a payload that is truncated after 4,400 digits", why, forge.claims(digits), "malformed"
    )


def not_objects(members: Members) -> Iterator[tuple[str, Text]]:
    """Yields texts that are not a valid JSON object, each with the end of its case's name.

    Most are variants of `members` that a lenient parser would accept.
    """
    valid = compact(members)
    texts: list[tuple[str, Text]] = [
        ("is null", "null"),
        ("is a number", "7"),
        ("is a string", '"a"'),
        ("is an empty list", "[]"),
        ("is a list with the object", f"[{valid}]"),
        ("is the object twice", valid + valid),
        ("has bytes after the object", f"{valid}x"),
        ("has a NUL after the object", f"{valid}\0"),
        ("begins with a byte order mark", f"\ufeff{valid}"),
        ("begins with a no-break space", f"\u00a0{valid}"),
        ("begins with a form feed", f"\f{valid}"),
        ("is UTF-16", valid.encode("utf-16-le")),
        ("is UTF-32", valid.encode("utf-32-be")),
        ("is in single quotes", valid.replace('"', "'")),
        ("has a trailing comma", f"{valid[:-1]},}}"),
        ("has a trailing comment", f"{valid}//"),
        ("is truncated", valid[:-1]),
        ("is truncated in a string", valid[:-3]),
    ]
    yield from texts
    for name, text in NOT_JSON:
        yield name, prepend(members, text)
    for name, sequence in NOT_UTF8:
        yield name, to_bytes(prepend(members, '"x":"?"')).replace(b"?", sequence, 1)


def repeated_names(forge: Forge) -> Iterator[Case]:
    """Yields tokens in which a name occurs twice, with or without escapes."""
    why = "RFC 7515 section 4, RFC 7519 section 4: names are unique"
    for name, text in TWICE_IN_HEADER:
        yield refused(name, why, forge.token(prepend(HEADER, text)), "malformed")
    for name, text in TWICE_IN_PAYLOAD:
        yield refused(name, why, forge.claims(prepend(CLAIMS, text)), "malformed")
    yield refused(
        "alg twice, last the value none", why,
        forge.token(f'{compact(HEADER)[:-1]},"alg":"none"}}'), "malformed",
    )
    yield refused(
        "sub twice, last that of another user", why,
        forge.claims(f'{compact(CLAIMS)[:-1]},"sub":"bob"}}'), "malformed",
    )
    status = change(STATUS, status_list=0)
    reference = with_raw(status, "status_list", prepend(STATUS["status_list"], '"idx":8'))
    yield refused(
        "idx twice within status", why,
        forge.claims(with_raw(CLAIMS, "status", reference)), "malformed",
    )


def depth(forge: Forge) -> Iterator[Case]:
    """Yields tokens whose nesting can overflow a parser's stack."""
    why = "the maximum depth is 127"
    for name, text in DEEP:
        member = f'"x":{text}'
        yield refused(
            f"a header with {name}", why, forge.token(prepend(HEADER, member)), "malformed"
        )
        yield refused(
            f"a payload with {name}", why, forge.claims(prepend(CLAIMS, member)), "malformed"
        )
    yield refused(
        "a header that consists only of nested lists", why,
        forge.token(nested(2900), "{}"), "malformed",
    )

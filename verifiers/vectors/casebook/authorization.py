"""Values of the header field `Authorization`, and the response to a request with them."""

from __future__ import annotations

from typing import Any

from casebook.case import Members

ACCEPTED: Members = {"status": 200}
NO_TOKEN: Members = {"status": 401, "error": "invalid_request", "www_authenticate": "Bearer"}
INVALID: Members = {
    "status": 401,
    "error": "invalid_token",
    "www_authenticate": 'Bearer error="invalid_token"',
}

GRAMMAR = "RFC 9110 section 11.4: a scheme, spaces, and the token"
WHITE_SPACE = "RFC 9110 section 5.5: spaces and tabs around a field value are not part of it"
COMBINED = "RFC 9110 section 5.3: the fields are combined with a comma, which no token has"
NO_CREDENTIALS = "RFC 6750 section 3.1: a request without credentials gets no error code"
ONLY_HEADER = "RFC 6750 section 2.1: services must read the header; other locations are not read"
CONTROL = "RFC 9110 section 5.5: a field value has no control characters"

TOO_LONG = "A" * 8193
"""One byte more than a token may have."""


def cases() -> list[Members]:
    """Returns all cases. In them, `{token}` stands for a valid token."""
    return [*_accepted(), *_without_token(), *_invalid(), *_several(), *_elsewhere()]


def _case(
    name: str, why: str, authorization: str | list[str], expect: Members, **others: Any
) -> Members:
    values = [authorization] if isinstance(authorization, str) else authorization
    return {"name": name, "why": why, "authorization": values, **others, "expect": expect}


def _accepted() -> list[Members]:
    case_insensitive = "RFC 9110 section 11.1: the scheme is case-insensitive"
    return [
        _case("a valid token", "RFC 6750 section 2.1", "Bearer {token}", ACCEPTED),
        _case("the scheme in lower case", case_insensitive, "bearer {token}", ACCEPTED),
        _case("the scheme in upper case", case_insensitive, "BEARER {token}", ACCEPTED),
        _case("the scheme in mixed case", case_insensitive, "bEARer {token}", ACCEPTED),
        _case("several spaces before the token", GRAMMAR, "Bearer    {token}", ACCEPTED),
        _case("a space after the token", WHITE_SPACE, "Bearer {token} ", ACCEPTED),
        _case("a tab after the token", WHITE_SPACE, "Bearer {token}\t", ACCEPTED),
        _case("a space before the scheme", WHITE_SPACE, " Bearer {token}", ACCEPTED),
        _case("a tab before the scheme", WHITE_SPACE, "\tBearer {token}", ACCEPTED),
    ]


def _without_token() -> list[Members]:
    values = [
        ("an empty field", NO_CREDENTIALS, ""),
        ("only a space", WHITE_SPACE, " "),
        ("only the scheme", NO_CREDENTIALS, "Bearer"),
        ("only the scheme in lower case", NO_CREDENTIALS, "bearer"),
        ("only the scheme and a space", WHITE_SPACE, "Bearer "),
        ("only the scheme, a space and a tab", WHITE_SPACE, "Bearer \t"),
        ("the scheme Basic", NO_CREDENTIALS, "Basic YTpi"),
        ("a scheme that begins with Bearer", GRAMMAR, "BearerX {token}"),
        ("no space after the scheme", GRAMMAR, "Bearer{token}"),
        ("no scheme", GRAMMAR, "{token}"),
        ("a tab after the scheme", GRAMMAR, "Bearer\t{token}"),
        ("a comma after the scheme", GRAMMAR, "Bearer, {token}"),
        ("a comma before the scheme", GRAMMAR, ", Bearer {token}"),
        ("a colon after the scheme", GRAMMAR, "Bearer: {token}"),
        ("the scheme in quotes", GRAMMAR, '"Bearer" {token}'),
        ("a no-break space before the scheme", GRAMMAR, "\u00a0Bearer {token}"),
        ("a no-break space after the scheme", GRAMMAR, "Bearer\u00a0{token}"),
        ("a scheme that is not ASCII", GRAMMAR, "B\u00e9arer {token}"),
    ]
    return [
        _case("no field", NO_CREDENTIALS, [], NO_TOKEN),
        *(_case(name, why, value, NO_TOKEN) for name, why, value in values),
        _case(
            "the scheme DPoP", NO_CREDENTIALS, "DPoP {token}", NO_TOKEN,
            other_challenge_in=["spring"],
        ),
    ]


def _invalid() -> list[Members]:
    values = [
        ("a token without dots", "x"),
        ("a token with a space", "a b"),
        ("a valid token and another word", "{token} x"),
        ("two valid tokens with a space", "{token} {token}"),
        ("a space and a tab before the token", "\t{token}"),
        ("a no-break space before the token", "\u00a0{token}"),
        ("a no-break space after the token", "{token}\u00a0"),
        ("a token that is UTF-8 but not ASCII", "\u00c3\u00a9"),
        ("a token that is not UTF-8", "\u00ff\u00fe"),
        ("a token in quotes", '"{token}"'),
        ("a token as a parameter", "token={token}"),
        ("the scheme twice", "Bearer {token}"),
        ("a comma after the token", "{token},"),
    ]
    control = [
        ("NUL before the token", "\u0000{token}"),
        ("a control character before the token", "\u0001{token}"),
        ("a form feed after the token", "{token}\u000c"),
        ("DEL after the token", "{token}\u007f"),
    ]
    too_long = _case(
        "a token that is too long", "RFC 9110 section 5.4: a server may limit the size of fields",
        f"Bearer {TOO_LONG}", INVALID, server_may_refuse=True,
    )
    return [
        *(_case(name, GRAMMAR, f"Bearer {value}", INVALID) for name, value in values),
        *(
            _case(name, CONTROL, f"Bearer {value}", INVALID, server_may_refuse=True)
            for name, value in control
        ),
        too_long,
    ]


def _several() -> list[Members]:
    bearer, basic = "Bearer {token}", "Basic YTpi"
    return [
        _case("two fields with a token", COMBINED, [bearer, bearer], INVALID),
        _case("a field with a token, then an invalid one", COMBINED, [bearer, "Bearer x"], INVALID),
        _case("a field with a token, then Basic", COMBINED, [bearer, basic], INVALID),
        _case("a field with a token, then an empty one", COMBINED, [bearer, ""], INVALID),
        _case("Basic, then a field with a token", COMBINED, [basic, bearer], NO_TOKEN),
        _case("an empty field, then one with a token", COMBINED, ["", bearer], NO_TOKEN),
        _case("the scheme and the token in two fields", COMBINED, ["Bearer", "{token}"], NO_TOKEN),
        _case("two tokens in one field", COMBINED, f"{bearer}, {bearer}", INVALID),
        _case("two tokens in one field, one scheme", COMBINED, f"{bearer},{{token}}", INVALID),
        _case("a token, then Basic in one field", COMBINED, f"{bearer}, {basic}", INVALID),
        _case("Basic, then a token in one field", COMBINED, f"{basic}, {bearer}", NO_TOKEN),
    ]


def _elsewhere() -> list[Members]:
    parameter = "access_token={token}"
    return [
        _case("a token in the query", ONLY_HEADER, [], NO_TOKEN, query=parameter),
        _case("a token in the body", ONLY_HEADER, [], NO_TOKEN, body=parameter),
        _case(
            "a token in the query, another scheme", ONLY_HEADER, "Basic YTpi", NO_TOKEN,
            query=parameter,
        ),
        _case(
            "a valid token, and an invalid one in the query", ONLY_HEADER, "Bearer {token}",
            ACCEPTED, query="access_token=x",
        ),
    ]

"""The conformance suite's checks of the code flow and of logout.

Conditions that only cause a warning in the suite fail here. The docstrings name the specifications.
"""

import hashlib
import math
import re
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from forgery import decode, encode

Json = dict[str, Any]

SKEW = 300
"""Tolerated clock skew, in seconds."""

MIN_ENTROPY = 96
"""The minimum of Shannon's estimate for codes and tokens, in bits. It is below the required 128
bits, because the estimate is rough."""

REGISTERED_METADATA = {
    # RFC 8414 §2
    *("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"),
    *("scopes_supported", "response_types_supported", "response_modes_supported"),
    *("grant_types_supported", "service_documentation", "ui_locales_supported"),
    *("op_policy_uri", "op_tos_uri", "code_challenge_methods_supported", "signed_metadata"),
    *(
        f"{endpoint}_endpoint{suffix}"
        for endpoint in ("token", "revocation", "introspection")
        for suffix in ("", "_auth_methods_supported", "_auth_signing_alg_values_supported")
    ),
    # OpenID Connect Discovery 1.0 §3
    *("userinfo_endpoint", "subject_types_supported", "acr_values_supported"),
    *("id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"),
    *("request_object_signing_alg_values_supported", "display_values_supported"),
    *("claim_types_supported", "claims_supported", "claims_locales_supported"),
    *("claims_parameter_supported", "request_parameter_supported"),
    *("request_uri_parameter_supported", "require_request_uri_registration"),
    # RP-Initiated Logout 1.0 §2.1, Back-Channel Logout 1.0 §2.1, Prompt Create 1.0 §4.2
    *("end_session_endpoint", "backchannel_logout_supported"),
    *("backchannel_logout_session_supported", "prompt_values_supported"),
    # RFC 9207 §3, Token Status List (section 9)
    *("authorization_response_iss_parameter_supported", "status_list_aggregation_endpoint"),
}

ID_TOKEN_CLAIMS = {
    *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp"),
    *("at_hash", "c_hash", "s_hash", "sid", "jti", "nbf"),
}
"""Claims that an ID token may contain although the client did not request them."""

SCOPE_CLAIMS = {
    "profile": {
        *("name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture"),
        *("website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"),
        "preferred_username",
    },
    "email": {"email", "email_verified"},
    "address": {"address"},
    "phone": {"phone_number", "phone_number_verified"},
}
"""The claims of each scope (OpenID Connect Core 1.0 §5.4)."""

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def entropy(text: str) -> float:
    """Shannon's entropy estimate, in bits."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -len(text) * sum(share * math.log2(share) for share in shares)


def check_secret(text: str) -> None:
    """Checks the length, entropy and characters (RFC 6749) of a code or a token."""
    assert len(text) >= 16, text
    assert entropy(text) > MIN_ENTROPY, f"{entropy(text)} bits: {text}"
    assert re.fullmatch(r"[\x20-\x7e]+", text), text


def check_json(answer: httpx.Response, status: int, kind: str = "application/json") -> Json:
    """Checks the status and media type of a JSON response. Returns its members."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["Content-Type"].split(";")[0] == kind, answer.headers
    members: Json = answer.json()
    return members


def metadata(members: Json, issuer: str) -> None:
    """Checks the metadata (OpenID Connect Discovery 1.0 §3). Unregistered members are errors."""
    unknown = members.keys() - REGISTERED_METADATA
    assert not unknown, f"not registered: {unknown}"
    assert members["issuer"] == issuer
    parts = urlsplit(issuer)
    assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")
    for name, value in members.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert urlsplit(value).scheme == "https", f"{name}: {value}"
            assert urlsplit(value).hostname, f"{name}: {value}"
        elif name.endswith("_supported") and not isinstance(value, bool):
            assert isinstance(value, list), f"{name}: {value}"
            assert value, f"{name} is empty"
            assert all(isinstance(item, str) for item in value), f"{name}: {value}"
            assert len(set(value)) == len(value), f"{name}: {value}"
    required = {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"}
    assert required <= members.keys()
    assert {"code"} <= set(members["response_types_supported"])
    assert set(members["subject_types_supported"]) <= {"public", "pairwise"}
    assert "RS256" in members["id_token_signing_alg_values_supported"]
    assert "openid" in members["scopes_supported"]
    assert all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", it) for it in members["scopes_supported"])
    assert set(members["claims_supported"]) >= {"sub", *SCOPE_CLAIMS["profile"]}
    requests = members.get("request_object_signing_alg_values_supported", ["RS256"])
    assert "RS256" in requests


def keys(members: Json) -> dict[str, jwt.PyJWK]:
    """Checks that a key set has only public keys with distinct `kid`s (RFC 7517 §5).

    Returns the keys by `kid`.
    """
    listed = members["keys"]
    assert listed, "no keys"
    for key in listed:
        private = key.keys() & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
        assert not private, f"{key['kid']} discloses {private}"
        assert key["kty"] != "oct", key
        assert key.get("use", "sig") == "sig", key
    by_kid = {key["kid"]: jwt.PyJWK(key) for key in listed}
    assert len(by_kid) == len(listed), "duplicate kid"
    return by_kid


def signed_claims(token: str, by_kid: dict[str, jwt.PyJWK], issuer: str, client_id: str) -> Json:
    """Checks that a token is for this client, unexpired and signed with RS256 by one of these keys.

    Returns its claims.
    """
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256", header
    claims: Json = jwt.decode(
        token,
        by_kid[header["kid"]],
        algorithms=["RS256"],
        issuer=issuer,
        audience=client_id,
        leeway=SKEW,
        options={"require": ["iss", "aud", "exp", "iat"]},
    )
    return claims


def id_token(
    token: str,
    by_kid: dict[str, jwt.PyJWK],
    issuer: str,
    client_id: str,
    access_token: str,
    nonce: str | None,
) -> Json:
    """Checks an ID token (OpenID Connect Core 1.0 §3.1.3.7). Unrequested claims are errors."""
    claims, now = signed_claims(token, by_kid, issuer, client_id), time.time()
    unrequested = claims.keys() - ID_TOKEN_CLAIMS
    assert not unrequested, f"unrequested: {unrequested}"
    assert claims["aud"] in (client_id, [client_id])
    assert claims.get("azp", client_id) == client_id
    assert re.fullmatch(r"[\x21-\x7e]{1,255}", claims["sub"])
    assert claims.get("nonce") == nonce
    assert now - SKEW < claims["iat"] < now + SKEW
    assert claims["iat"] < claims["exp"] < now + 366 * 24 * 3600
    assert claims["auth_time"] <= claims["iat"] + SKEW
    assert isinstance(claims["acr"], str)
    assert all(isinstance(method, str) for method in claims["amr"])
    if "at_hash" in claims:
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        assert claims["at_hash"] == encode(half)
    for name in ("iss", "sub", "exp", "iat", "auth_time"):
        kind = str if name in ("iss", "sub") else int
        assert type(claims[name]) is kind, f"{name}: {claims[name]!r}"
    return claims


def userinfo(members: Json, scope: str) -> None:
    """Checks that userinfo has exactly the claims of the scope, with correct types (OpenID Connect
    Core 1.0 §5.1 and §5.4)."""
    expected = set().union(*(SCOPE_CLAIMS.get(value, set()) for value in scope.split(" ")))
    missing = expected - members.keys()
    assert not missing, f"missing at userinfo: {missing}"
    unrequested = members.keys() - expected - {"sub"}
    assert not unrequested, f"unrequested: {unrequested}"
    for name, value in members.items():
        if name in ("email_verified", "phone_number_verified"):
            assert isinstance(value, bool), name
        elif name == "updated_at":
            assert type(value) in (int, float), name
            assert 0 < value < time.time() + SKEW, f"{name}: {value}"
        elif name == "address":
            assert isinstance(value, dict), name
            assert value, name
            assert all(isinstance(line, str) and line for line in value.values()), value
        else:
            assert isinstance(value, str), name
            assert value, name
    shapes = {
        "email": r"[^@\s]+@[^@\s]+",
        # The official suite accepts a year from 1850 on, or 0000.
        "birthdate": r"(0000|18[5-9]\d|19\d\d|20\d\d)(-\d\d-\d\d)?",
        "zoneinfo": r"\w+(/[\w+-]+)*",
        "locale": r"[A-Za-z]{2,3}([-_]\w+)*",
        "phone_number": r"\+[\d ()-]+(;ext=\d+)?",
        **dict.fromkeys(("profile", "picture", "website"), r"https?://\S+"),
    }
    for name, shape in shapes.items():
        assert re.fullmatch(shape, members.get(name, "")) or name not in members, members[name]


def refreshed_id_token(first: Json, second: Json) -> None:
    """Compares the claims of an ID token with those of its refreshed successor (OpenID Connect Core
    1.0 §12.2)."""
    for name in ("iss", "sub", "aud", "auth_time"):
        assert second[name] == first[name], name
    assert second["iat"] > first["iat"]
    assert second.get("azp") == first.get("azp")


def logout_token(
    token: str, by_kid: dict[str, jwt.PyJWK], issuer: str, client_id: str, id_token_claims: Json
) -> None:
    """Checks a logout token (Back-Channel Logout 1.0 §2.4 and §2.6) against the claims of the ID
    token from the same login."""
    claims, now = signed_claims(token, by_kid, issuer, client_id), time.time()
    assert now - SKEW < claims["iat"] < now + SKEW
    assert claims["exp"] > now - SKEW
    assert claims["jti"]
    assert claims["events"][LOGOUT_EVENT] == {}
    assert "nonce" not in claims
    assert (claims["sub"], claims["sid"]) == (id_token_claims["sub"], id_token_claims["sid"])


def alg_none(token: str) -> str:
    """A copy of a token with `alg` none and an empty signature."""
    header, body, _ = token.split(".")
    unsigned = decode(header).replace(b'"RS256"', b'"none"')
    assert unsigned != decode(header), header
    return f"{encode(unsigned)}.{body}."

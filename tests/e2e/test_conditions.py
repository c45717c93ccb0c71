"""The checks of `test_certification.py` detect errors: in responses altered in transit."""

import json
import time
from collections.abc import Callable, Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import conditions
from conformance import Module, Suite, conformance_run
from databases import fresh_database
from forgery import Json, claims_of, public_jwk, sign_hs256, sign_rs256
from processes import Owner
from tls_proxy import Answer

pytestmark = pytest.mark.once

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SCOPE = "openid profile email address phone"
Change = Callable[[Json], object]
Alteration = Callable[[Answer], None]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory, owned_by_module: Owner) -> Iterator[Suite]:
    directory = tmp_path_factory.mktemp("conditions")
    database = fresh_database(directory)
    with conformance_run(directory, database, owned_by_module) as suite:
        yield suite
    database.drop()


def members_of(request: str, change: Change) -> Alteration:
    """Changes the members of a JSON response."""

    def alter(answer: Answer) -> None:
        if answer.request == request and answer.status == 200:
            members = json.loads(answer.body)
            change(members)
            answer.body = json.dumps(members).encode()

    return alter


def metadata(change: Change) -> Alteration:
    return members_of("GET /.well-known/openid-configuration", change)


def keys(change: Change) -> Alteration:
    return members_of("GET /.well-known/jwks.json", lambda members: change(members["keys"][0]))


def token_answer(change: Change) -> Alteration:
    return members_of("POST /oauth2/token", change)


def userinfo(change: Change) -> Alteration:
    return members_of("GET /oauth2/userinfo", change)


def header(request: str, name: str, change: Callable[[str], str]) -> Alteration:
    def alter(answer: Answer) -> None:
        if answer.request == request:
            answer.headers = [
                (it, change(value) if it.lower() == name else value) for it, value in answer.headers
            ]

    return alter


def callback(change: Callable[[httpx.URL], httpx.URL]) -> Alteration:
    """Changes the redirect back to the client."""

    def alter(answer: Answer) -> None:
        answer.headers = [
            (name, str(change(httpx.URL(value))) if "emobix" in value else value)
            for name, value in answer.headers
        ]

    return alter


def resigned(change: Change, sign: Callable[[Json, Json], str] | None = None) -> Alteration:
    """Changes the claims of ID tokens, and signs them with a key that is added to the key set."""

    def resign(members: Json) -> None:
        claims = claims_of(members["id_token"])
        change(claims)
        head = {"alg": "RS256", "kid": "own", "typ": "JWT"}
        members["id_token"] = sign(head, claims) if sign else sign_rs256(head, claims, KEY)

    own = members_of(
        "GET /.well-known/jwks.json", lambda it: it["keys"].append(public_jwk(KEY, "own"))
    )

    def alter(answer: Answer) -> None:
        own(answer)
        token_answer(resign)(answer)

    return alter


def put(**members: object) -> Change:
    return lambda it: it.update(members)


def without(name: str) -> Change:
    return lambda it: it.pop(name)


def nothing(_: Json) -> None:
    """Changes nothing."""


ALTERATIONS: dict[str, Alteration] = {
    "metadata: a member that nobody registered": metadata(put(magic_supported=True)),
    "metadata: another issuer": metadata(put(issuer="https://signet.example/")),
    "metadata: no TLS": metadata(put(userinfo_endpoint="http://signet.example/oauth2/userinfo")),
    "metadata: no openid": metadata(put(scopes_supported=["profile"])),
    "metadata: no RS256": metadata(put(id_token_signing_alg_values_supported=["ES256"])),
    "metadata: an empty list": metadata(put(grant_types_supported=[])),
    "metadata: no userinfo": metadata(without("userinfo_endpoint")),
    "metadata: another media type": header(
        "GET /.well-known/openid-configuration", "content-type", lambda _: "text/plain"
    ),
    "keys: a private member": keys(put(d="AQAB")),
    "keys: no kid": keys(without("kid")),
    "callback: one more parameter": callback(lambda it: it.copy_add_param("extra", "1")),
    "callback: a repeated parameter": callback(lambda it: it.copy_add_param("state", "1")),
    "callback: another state": callback(lambda it: it.copy_set_param("state", "s")),
    "callback: another iss": callback(lambda it: it.copy_set_param("iss", "https://a.example")),
    "callback: no iss": callback(lambda it: it.copy_remove_param("iss")),
    "tokens: no expires_in": token_answer(without("expires_in")),
    "tokens: expires_in as text": token_answer(put(expires_in="300")),
    "tokens: another type": token_answer(put(token_type="mac")),
    "tokens: to be guessed": token_answer(put(access_token="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1")),
    "tokens: no ID token": token_answer(without("id_token")),
    "tokens: more scope": token_answer(put(scope=f"{SCOPE} admin")),
    "tokens: to be kept": header("POST /oauth2/token", "cache-control", lambda _: "private"),
    "ID token: another iss": resigned(put(iss="https://signet.example/")),
    "ID token: another aud": resigned(put(aud="conformance-second")),
    "ID token: two of aud": resigned(put(aud=["conformance-basic", "conformance-second"])),
    "ID token: another azp": resigned(put(azp="conformance-second")),
    "ID token: expired": resigned(put(exp=int(time.time()) - 600)),
    "ID token: from yesterday": resigned(put(iat=int(time.time()) - 86400)),
    "ID token: auth_time as text": resigned(put(auth_time="0")),
    "ID token: auth_time to come": resigned(put(auth_time=int(time.time()) + 86400)),
    "ID token: another nonce": resigned(put(nonce="n")),
    "ID token: no nonce": resigned(without("nonce")),
    "ID token: another sub": resigned(put(sub="somebody")),
    "ID token: another at_hash": resigned(put(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    "ID token: a claim too many": resigned(put(name="Augusta Ada King")),
    "ID token: by a symmetric key": resigned(
        nothing, lambda head, claims: sign_hs256({**head, "alg": "HS256"}, claims, b"x" * 32)
    ),
    "ID token: unsigned": resigned(
        nothing, lambda head, claims: sign_rs256(head, claims, KEY).rpartition(".")[0] + "."
    ),
    "ID token: by an unknown key": resigned(
        nothing, lambda head, claims: sign_rs256({**head, "kid": "unknown"}, claims, KEY)
    ),
    "userinfo: another sub": userinfo(put(sub="somebody")),
    "userinfo: no birthdate": userinfo(without("birthdate")),
    "userinfo: a claim too many": userinfo(put(role="admin")),
    "userinfo: a truth as text": userinfo(put(email_verified="false")),
    "userinfo: in milliseconds": userinfo(put(updated_at=int(time.time() * 1000))),
    "userinfo: an address in one line": userinfo(put(address="12 St James's Square")),
    "userinfo: another media type": header(
        "GET /oauth2/userinfo", "content-type", lambda _: "text/html"
    ),
}


def run(module: Module) -> None:
    conditions.metadata(module.metadata, "https://signet.example")
    flow = module.flow(scope=SCOPE)
    assert flow.userinfo["email"] == "conformance@example.com"


@pytest.mark.parametrize("name", ALTERATIONS)
def test_checks_detect_errors(suite: Suite, name: str) -> None:
    suite.proxy.tamper = ALTERATIONS[name]

    with pytest.raises(
        (AssertionError, LookupError, ValueError, TypeError, jwt.PyJWTError)
    ) as found:
        run(suite.module("oidcc-server"))

    print(f"{name}: {found.value!r}"[:200])


LOGIN = {"sub": "ada", "sid": "a-session"}
LOGOUT_CHANGES: dict[str, Change] = {
    "another aud": put(aud="conformance-basic"),
    "another iss": put(iss="https://a.example"),
    "another sub": put(sub="bob"),
    "another sid": put(sid="another-session"),
    "no sid": without("sid"),
    "expired": put(exp=int(time.time()) - 600),
    "from yesterday": put(iat=int(time.time()) - 86400),
    "no jti": without("jti"),
    "a nonce": put(nonce="n"),
    "no event": without("events"),
    "another event": put(events={"https://a.example/event": {}}),
}


@pytest.mark.parametrize("name", [None, *LOGOUT_CHANGES])
def test_checks_detect_a_wrong_logout_token(name: str | None) -> None:
    by_kid, now = {"own": jwt.PyJWK(public_jwk(KEY, "own"))}, int(time.time())
    audience = ("https://signet.example", "conformance-backchannel")
    claims = {
        **dict(zip(("iss", "aud"), audience, strict=True)),
        **{"iat": now, "exp": now + 120, "jti": "once", **LOGIN},
        "events": {conditions.LOGOUT_EVENT: {}},
    }
    LOGOUT_CHANGES.get(name or "", nothing)(claims)
    token = sign_rs256({"alg": "RS256", "kid": "own"}, claims, KEY)

    if name is None:
        conditions.logout_token(token, by_kid, *audience, LOGIN)
        return
    with pytest.raises((AssertionError, LookupError, jwt.PyJWTError)):
        conditions.logout_token(token, by_kid, *audience, LOGIN)


@pytest.mark.parametrize("alteration", [None, resigned(nothing)], ids=["as it is", "signed anew"])
def test_checks_accept_correct_responses(suite: Suite, alteration: Alteration | None) -> None:
    suite.proxy.tamper = alteration

    run(suite.module("oidcc-server"))

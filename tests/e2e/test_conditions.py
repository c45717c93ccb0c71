"""The checks of `test_certification.py` detect errors in responses that were altered in transit."""

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
from processes import ProcessKiller
from tls_proxy import Answer

pytestmark = pytest.mark.once

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SCOPE = "openid profile email address phone"
Change = Callable[[Json], object]
Alteration = Callable[[Answer], None]


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory, kill_after_module: ProcessKiller
) -> Iterator[Suite]:
    directory = tmp_path_factory.mktemp("conditions")
    database = fresh_database(directory)
    with conformance_run(directory, database, kill_after_module) as suite:
        yield suite
    database.drop()


def change_response(request: str, change: Change) -> Alteration:
    """Changes the members of a JSON response."""

    def alter(answer: Answer) -> None:
        if answer.request == request and answer.status == 200:
            members = json.loads(answer.body)
            change(members)
            answer.body = json.dumps(members).encode()

    return alter


def metadata(change: Change) -> Alteration:
    return change_response("GET /.well-known/openid-configuration", change)


def keys(change: Change) -> Alteration:
    return change_response("GET /.well-known/jwks.json", lambda members: change(members["keys"][0]))


def token_answer(change: Change) -> Alteration:
    return change_response("POST /oauth2/token", change)


def userinfo(change: Change) -> Alteration:
    return change_response("GET /oauth2/userinfo", change)


def header(request: str, name: str, change: Callable[[str], str]) -> Alteration:
    def alter(answer: Answer) -> None:
        if answer.request == request:
            answer.headers = [
                (it, change(value) if it.lower() == name else value) for it, value in answer.headers
            ]

    return alter


def callback(change: Callable[[httpx.URL], httpx.URL]) -> Alteration:
    """Changes the URL of the redirect to the client."""

    def alter(answer: Answer) -> None:
        answer.headers = [
            (name, str(change(httpx.URL(value))) if "emobix" in value else value)
            for name, value in answer.headers
        ]

    return alter


def re_signed(change: Change, sign: Callable[[Json, Json], str] | None = None) -> Alteration:
    """Changes the claims of ID tokens and signs them with a key that is added to the key set."""

    def re_sign(members: Json) -> None:
        claims = claims_of(members["id_token"])
        change(claims)
        head = {"alg": "RS256", "kid": "own", "typ": "JWT"}
        members["id_token"] = sign(head, claims) if sign else sign_rs256(head, claims, KEY)

    add_key = change_response(
        "GET /.well-known/jwks.json", lambda it: it["keys"].append(public_jwk(KEY, "own"))
    )

    def alter(answer: Answer) -> None:
        add_key(answer)
        token_answer(re_sign)(answer)

    return alter


def set_members(**members: object) -> Change:
    return lambda it: it.update(members)


def remove_member(name: str) -> Change:
    return lambda it: it.pop(name)


def no_change(_: Json) -> None:
    """Changes nothing."""


ALTERATIONS: dict[str, Alteration] = {
    "metadata: unregistered member": metadata(set_members(magic_supported=True)),
    "metadata: another issuer": metadata(set_members(issuer="https://signet.example/")),
    "metadata: no TLS": metadata(
        set_members(userinfo_endpoint="http://signet.example/oauth2/userinfo")
    ),
    "metadata: no openid": metadata(set_members(scopes_supported=["profile"])),
    "metadata: no RS256": metadata(set_members(id_token_signing_alg_values_supported=["ES256"])),
    "metadata: an empty list": metadata(set_members(grant_types_supported=[])),
    "metadata: no userinfo": metadata(remove_member("userinfo_endpoint")),
    "metadata: another media type": header(
        "GET /.well-known/openid-configuration", "content-type", lambda _: "text/plain"
    ),
    "keys: a private member": keys(set_members(d="AQAB")),
    "keys: no kid": keys(remove_member("kid")),
    "callback: one more parameter": callback(lambda it: it.copy_add_param("extra", "1")),
    "callback: a repeated parameter": callback(lambda it: it.copy_add_param("state", "1")),
    "callback: another state": callback(lambda it: it.copy_set_param("state", "s")),
    "callback: another iss": callback(lambda it: it.copy_set_param("iss", "https://a.example")),
    "callback: no iss": callback(lambda it: it.copy_remove_param("iss")),
    "tokens: no expires_in": token_answer(remove_member("expires_in")),
    "tokens: expires_in as text": token_answer(set_members(expires_in="300")),
    "tokens: another type": token_answer(set_members(token_type="mac")),
    "tokens: low entropy": token_answer(
        set_members(access_token="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1")
    ),
    "tokens: no ID token": token_answer(remove_member("id_token")),
    "tokens: larger scope": token_answer(set_members(scope=f"{SCOPE} admin")),
    "tokens: cacheable": header("POST /oauth2/token", "cache-control", lambda _: "private"),
    "ID token: another iss": re_signed(set_members(iss="https://signet.example/")),
    "ID token: another aud": re_signed(set_members(aud="conformance-second")),
    "ID token: two audiences": re_signed(
        set_members(aud=["conformance-basic", "conformance-second"])
    ),
    "ID token: another azp": re_signed(set_members(azp="conformance-second")),
    "ID token: expired": re_signed(set_members(exp=int(time.time()) - 600)),
    "ID token: from yesterday": re_signed(set_members(iat=int(time.time()) - 86400)),
    "ID token: auth_time as text": re_signed(set_members(auth_time="0")),
    "ID token: auth_time in the future": re_signed(set_members(auth_time=int(time.time()) + 86400)),
    "ID token: another nonce": re_signed(set_members(nonce="n")),
    "ID token: no nonce": re_signed(remove_member("nonce")),
    "ID token: another sub": re_signed(set_members(sub="somebody")),
    "ID token: another at_hash": re_signed(set_members(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    "ID token: unrequested claim": re_signed(set_members(name="Augusta Ada King")),
    "ID token: signed with a symmetric key": re_signed(
        no_change, lambda head, claims: sign_hs256({**head, "alg": "HS256"}, claims, b"x" * 32)
    ),
    "ID token: unsigned": re_signed(
        no_change, lambda head, claims: sign_rs256(head, claims, KEY).rpartition(".")[0] + "."
    ),
    "ID token: signed with an unknown key": re_signed(
        no_change, lambda head, claims: sign_rs256({**head, "kid": "unknown"}, claims, KEY)
    ),
    "userinfo: another sub": userinfo(set_members(sub="somebody")),
    "userinfo: no birthdate": userinfo(remove_member("birthdate")),
    "userinfo: unrequested claim": userinfo(set_members(role="admin")),
    "userinfo: boolean as text": userinfo(set_members(email_verified="false")),
    "userinfo: updated_at in milliseconds": userinfo(
        set_members(updated_at=int(time.time() * 1000))
    ),
    "userinfo: address as text": userinfo(set_members(address="12 St James's Square")),
    "userinfo: another media type": header(
        "GET /oauth2/userinfo", "content-type", lambda _: "text/html"
    ),
}


def run_checks(module: Module) -> None:
    conditions.metadata(module.metadata, "https://signet.example")
    flow = module.flow(scope=SCOPE)
    assert flow.userinfo["email"] == "conformance@example.com"


@pytest.mark.parametrize("name", ALTERATIONS)
def test_checks_detect_altered_responses(suite: Suite, name: str) -> None:
    suite.proxy.tamper = ALTERATIONS[name]

    with pytest.raises(
        (AssertionError, LookupError, ValueError, TypeError, jwt.PyJWTError)
    ) as found:
        run_checks(suite.module("oidcc-server"))

    print(f"{name}: {found.value!r}"[:200])


LOGIN = {"sub": "ada", "sid": "a-session"}
LOGOUT_CHANGES: dict[str, Change] = {
    "another aud": set_members(aud="conformance-basic"),
    "another iss": set_members(iss="https://a.example"),
    "another sub": set_members(sub="bob"),
    "another sid": set_members(sid="another-session"),
    "no sid": remove_member("sid"),
    "expired": set_members(exp=int(time.time()) - 600),
    "from yesterday": set_members(iat=int(time.time()) - 86400),
    "no jti": remove_member("jti"),
    "a nonce": set_members(nonce="n"),
    "no event": remove_member("events"),
    "another event": set_members(events={"https://a.example/event": {}}),
}


@pytest.mark.parametrize("name", [None, *LOGOUT_CHANGES])
def test_logout_token_check_detects_wrong_claims(name: str | None) -> None:
    by_kid, now = {"own": jwt.PyJWK(public_jwk(KEY, "own"))}, int(time.time())
    audience = ("https://signet.example", "conformance-backchannel")
    claims = {
        **dict(zip(("iss", "aud"), audience, strict=True)),
        **{"iat": now, "exp": now + 120, "jti": "once", **LOGIN},
        "events": {conditions.LOGOUT_EVENT: {}},
    }
    LOGOUT_CHANGES.get(name or "", no_change)(claims)
    token = sign_rs256({"alg": "RS256", "kid": "own"}, claims, KEY)

    if name is None:
        conditions.logout_token(token, by_kid, *audience, LOGIN)
        return
    with pytest.raises((AssertionError, LookupError, jwt.PyJWTError)):
        conditions.logout_token(token, by_kid, *audience, LOGIN)


@pytest.mark.parametrize(
    "alteration", [None, re_signed(no_change)], ids=["unchanged", "signed again"]
)
def test_checks_accept_correct_responses(suite: Suite, alteration: Alteration | None) -> None:
    suite.proxy.tamper = alteration

    run_checks(suite.module("oidcc-server"))

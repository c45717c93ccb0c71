"""The modules of the OpenID certification, reimplemented as tests.

Each test has the name of a module of the Config, Basic, RP-Initiated Logout or Back-Channel Logout
profile. This is not the official run. As in the official run, Signet is behind TLS under its public
name, its clients are those of `tests/conformance/clients.toml`, and the browser follows
`tests/conformance/config.json`. Conditions that only cause a warning in the suite fail here.
"""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import conditions
from conformance import (
    BASE,
    CLIENTS,
    Module,
    Suite,
    conformance_run,
    random_text,
    redeem_for_later_reuse,
)
from databases import fresh_database
from forgery import claims_of, header_of, sign_hs256
from logout_receiver import LogoutReceiver
from processes import REPOSITORY, ProcessKiller
from relying_party import CHALLENGE, VERIFIER

pytestmark = pytest.mark.once

AFTER_LOGOUT = f"{BASE}/post_logout_redirect"
REUSE_AFTER_SECONDS = 31
"""Seconds between the redemption of a code and its second presentation."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogoutReceiver]:
    with LogoutReceiver(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def suite(
    tmp_path_factory: pytest.TempPathFactory,
    kill_after_module: ProcessKiller,
    receiver: LogoutReceiver,
) -> Iterator[Suite]:
    directory = tmp_path_factory.mktemp("certification")
    database = fresh_database(directory)
    trusted = {"SSL_CERT_FILE": str(receiver.certificate)}
    with conformance_run(directory, database, kill_after_module, **trusted) as suite:
        # The last module presents this code again, after the other modules have run.
        redeem_for_later_reuse(suite, suite.module("oidcc-codereuse-30seconds"))
        yield suite
    database.drop()


@pytest.fixture
def module(suite: Suite, request: pytest.FixtureRequest) -> Module:
    """The module with the name of the test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")
    return suite.module(name)


# --- Config -----------------------------------------------------------------------------------


def test_oidcc_discovery_endpoint_verification(module: Module) -> None:
    conditions.metadata(module.metadata, "https://signet.example")
    assert module.keys


# --- Basic ------------------------------------------------------------------------------------


def test_oidcc_server(module: Module) -> None:
    flow = module.flow()

    conditions.check_secret(flow.code)
    assert flow.userinfo == {"sub": flow.claims["sub"]}
    assert module.browser.tasks[0] == "Log in"
    assert module.browser.tasks[-1] == "Come back"


def test_oidcc_response_type_missing(module: Module) -> None:
    request = module.request(response_type=None)

    landing = module.send(request)

    module.error(landing, request, "unsupported_response_type", "invalid_request")


def test_oidcc_idtoken_signature(module: Module) -> None:
    """Not in the plan for static clients."""
    flow = module.flow()

    header = header_of(flow.answer["id_token"])
    assert header["alg"] == "RS256"
    assert header["kid"] in module.keys


def test_oidcc_idtoken_unsigned(module: Module) -> None:
    """Not in the plan for static clients. The suite skips it if a provider signs all ID tokens."""
    assert "none" not in module.metadata["id_token_signing_alg_values_supported"]


def test_oidcc_userinfo_get(module: Module) -> None:
    module.flow(scope="openid profile email address phone")


def test_oidcc_userinfo_post_header(module: Module) -> None:
    flow = module.flow()

    answer = module.userinfo(flow.access_token, "POST")

    assert conditions.check_json(answer, 200) == flow.userinfo


def test_oidcc_userinfo_post_body(module: Module) -> None:
    flow = module.flow()

    form = {"access_token": flow.access_token}
    answer = module.http.post(module.metadata["userinfo_endpoint"], data=form)

    assert conditions.check_json(answer, 200) == flow.userinfo


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(module: Module) -> None:
    assert "nonce" not in module.flow(nonce=None).claims


def test_oidcc_scope_profile(module: Module) -> None:
    assert module.flow(scope="openid profile").userinfo["name"] == "Augusta Ada King"


def test_oidcc_scope_email(module: Module) -> None:
    assert module.flow(scope="openid email").userinfo["email"] == "conformance@example.com"


def test_oidcc_scope_address(module: Module) -> None:
    assert module.flow(scope="openid address").userinfo["address"]["country"] == "UK"


def test_oidcc_scope_phone(module: Module) -> None:
    assert module.flow(scope="openid phone").userinfo["phone_number"] == "+442079460000"


def test_oidcc_scope_all(module: Module) -> None:
    module.flow(scope="openid profile email address phone")


def test_oidcc_alternate_happy_flow(module: Module) -> None:
    ordered = module.request(scope="phone address email profile openid")
    request = dict(reversed(ordered.items()))

    code = module.code(module.send(request), request)

    answer = module.tokens(module.redeem(module.client(), request, code), request["scope"])
    claims = module.id_token(answer, module.client(), request["nonce"])
    module.complete(module.client(), request, code, answer, claims)


def test_oidcc_display_page(module: Module) -> None:
    module.flow(display="page")


def test_oidcc_display_popup(module: Module) -> None:
    module.flow(display="popup")


def test_oidcc_prompt_login(module: Module) -> None:
    first = module.flow()
    module.browser.wants_screenshot = True
    time.sleep(1)

    second = module.flow(prompt="login")

    assert module.browser.screenshots == ["Log in"]
    assert second.claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_prompt_none_not_logged_in(module: Module) -> None:
    module.check_logged_out()


def test_oidcc_prompt_none_logged_in(module: Module) -> None:
    first = module.flow()
    module.browser.tasks.clear()

    second = module.flow(prompt="none")

    assert module.browser.tasks == ["Come back"]
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_max_age_1(module: Module) -> None:
    first = module.flow()
    module.browser.wants_screenshot = True
    time.sleep(2)

    second = module.flow(max_age="1")

    assert module.browser.screenshots == ["Log in"]
    assert first.claims["auth_time"] < second.claims["auth_time"]
    assert time.time() - 10 < second.claims["auth_time"] < time.time() + 1


def test_oidcc_max_age_10000(module: Module) -> None:
    first = module.flow(max_age="15000")
    module.browser.tasks.clear()

    second = module.flow(max_age="10000")

    assert module.browser.tasks == ["Come back"]
    assert second.claims["auth_time"] == first.claims["auth_time"]
    assert second.claims["sub"] == first.claims["sub"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(module: Module) -> None:
    module.flow(extra="foobar")


def test_oidcc_id_token_hint(module: Module) -> None:
    first = module.flow()
    module.browser.tasks.clear()

    second = module.flow(prompt="none", id_token_hint=first.answer["id_token"])

    assert module.browser.tasks == ["Come back"]
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_login_hint(module: Module) -> None:
    module.flow(login_hint="buffy@signet.example")


def test_oidcc_ui_locales(module: Module) -> None:
    module.flow(ui_locales="se")


def test_oidcc_claims_locales(module: Module) -> None:
    module.flow(claims_locales="se")


def test_oidcc_ensure_request_with_acr_values_succeeds(module: Module) -> None:
    assert module.flow(acr_values="1 2").claims["acr"] in ("1", "2")


def test_oidcc_codereuse(module: Module) -> None:
    flow = module.flow()

    again = module.redeem(flow.client, flow.request, flow.code)

    assert conditions.check_json(again, 400)["error"] == "invalid_grant"


def test_oidcc_ensure_registered_redirect_uri(module: Module) -> None:
    module.browser.wants_screenshot = True
    elsewhere = f"{BASE}/callback/{random_text(10)}"

    landing = module.send(module.request(redirect_uri=elsewhere))

    module.check_page(landing, 400)
    assert module.browser.screenshots == ["That does not work"]
    assert "redirect_uri" in landing.text


def test_oidcc_ensure_post_request_succeeds(module: Module) -> None:
    module.flow(method="POST")


def test_oidcc_server_client_secret_post(module: Module) -> None:
    module.flow(module.client("client_secret_post"), by="post")


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    module: Module,
) -> None:
    """Not in the plan for static clients."""
    request = module.request(request_uri=f"{BASE}/request_uri_content")

    landing = module.send(request)

    module.error(landing, request, "request_uri_not_supported")


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    module: Module,
) -> None:
    request = module.request()

    landing = module.send(as_request_object(request))

    module.error(landing, request, "request_not_supported")


def test_oidcc_claims_essential(module: Module) -> None:
    request = module.request(claims=json.dumps({"userinfo": {"name": {"essential": True}}}))

    code = module.code(module.send(request), request)

    answer = module.tokens(module.redeem(module.client(), request, code), request["scope"])
    members = conditions.check_json(module.userinfo(answer["access_token"]), 200)
    assert members.keys() == {"sub", "name"}, "the suite warns if the name is missing"


def test_oidcc_ensure_request_object_with_redirect_uri(module: Module) -> None:
    module.browser.wants_screenshot = True
    request = as_request_object(module.request())
    request["redirect_uri"] = f"{BASE}/callback/{random_text(10)}"

    landing = module.send(request)

    module.check_page(landing, 400)
    assert module.browser.screenshots == ["That does not work"]


def test_oidcc_refresh_token(module: Module) -> None:
    assert "offline_access" in module.metadata["scopes_supported"]
    assert "refresh_token" in module.metadata["grant_types_supported"]
    first_client, second_client = module.client("client"), module.client("client2")
    scope = "openid offline_access"
    other_callback = f"{BASE}/callback?dummy1=lorem&dummy2=ipsum"

    def refresh(client: conditions.Json, token: str, **more: str) -> conditions.Json:
        form = {"grant_type": "refresh_token", "refresh_token": token, **more}
        answer = module.tokens(module.token_answer(client, form), scope)
        conditions.check_secret(answer["refresh_token"])
        return answer

    first = module.flow(first_client, scope=scope, prompt="consent")
    second = module.flow(second_client, scope=scope, prompt="consent", redirect_uri=other_callback)
    assert module.browser.tasks.count("Allow") == 2
    time.sleep(1)

    answers = [
        refresh(first_client, first.answer["refresh_token"], scope=scope),
        refresh(second_client, second.answer["refresh_token"]),
    ]

    for flow, answer in zip((first, second), answers, strict=True):
        nonce = flow.request["nonce"] if "nonce" in claims_of(answer["id_token"]) else None
        claims = module.id_token(answer, flow.client, nonce)
        conditions.refreshed_id_token(flow.claims, claims)
        assert answer["access_token"] != flow.access_token
        assert conditions.check_json(module.userinfo(answer["access_token"]), 200) == flow.userinfo
    stolen = {"grant_type": "refresh_token", "refresh_token": answers[1]["refresh_token"]}
    refused = module.token_answer(first_client, stolen)
    assert conditions.check_json(refused, 400)["error"] == "invalid_grant"


def test_oidcc_ensure_request_with_valid_pkce_succeeds(module: Module) -> None:
    module.flow(code_challenge=CHALLENGE, code_challenge_method="S256", verifier=VERIFIER)


# --- RP-Initiated Logout ----------------------------------------------------------------------


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(module: Module) -> None:
    conditions.metadata(module.metadata, "https://signet.example")
    assert module.metadata["end_session_endpoint"].startswith("https://")


def test_oidcc_rp_initiated_logout(module: Module) -> None:
    id_token, state = module.flow().answer["id_token"], random_text(128)

    landing = module.log_out(
        id_token_hint=id_token, post_logout_redirect_uri=AFTER_LOGOUT, state=state
    )

    assert landing.url.partition("?")[0] == AFTER_LOGOUT
    assert landing.parameters == {"state": state}
    module.check_logged_out()


def test_oidcc_rp_initiated_logout_no_state(module: Module) -> None:
    id_token = module.flow().answer["id_token"]

    landing = module.log_out(id_token_hint=id_token, post_logout_redirect_uri=AFTER_LOGOUT)

    assert landing.url == AFTER_LOGOUT
    module.check_logged_out()


def check_logout_ends_on_page(
    module: Module, heading: str, *statuses: int, **parameters: str
) -> None:
    """Checks that a logout request ends on a page of Signet with this heading."""
    module.browser.wants_screenshot = True

    landing = module.log_out(**parameters)

    module.check_page(landing, *statuses)
    assert module.browser.screenshots == [heading]


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(module: Module) -> None:
    id_token = module.flow().answer["id_token"]
    elsewhere = f"{BASE}/{random_text(10)}"
    check_logout_ends_on_page(
        module,
        "That does not work",
        400,
        id_token_hint=id_token,
        post_logout_redirect_uri=elsewhere,
        state="s",
    )


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(module: Module) -> None:
    id_token = module.flow().answer["id_token"]
    with_query = f"{AFTER_LOGOUT}?foo=bar"
    check_logout_ends_on_page(
        module,
        "That does not work",
        400,
        id_token_hint=id_token,
        post_logout_redirect_uri=with_query,
        state="s",
    )


def test_oidcc_rp_initiated_logout_modified_id_token_hint(module: Module) -> None:
    unsigned = conditions.alg_none(module.flow().answer["id_token"])
    check_logout_ends_on_page(
        module,
        "That does not work",
        400,
        id_token_hint=unsigned,
        post_logout_redirect_uri=AFTER_LOGOUT,
        state="s",
    )


def test_oidcc_rp_initiated_logout_bad_id_token_hint(module: Module) -> None:
    flow = module.flow()
    secret = flow.client["client_secret"].encode()
    assert len(secret) >= 32, "too short for HS256: the official module stops here"
    forged = sign_hs256({"alg": "HS256", "typ": "JWT"}, flow.claims, secret)
    check_logout_ends_on_page(
        module,
        "That does not work",
        400,
        id_token_hint=forged,
        post_logout_redirect_uri=AFTER_LOGOUT,
        state="s",
    )


def test_oidcc_rp_initiated_logout_no_id_token_hint(module: Module) -> None:
    module.flow()
    check_logout_ends_on_page(
        module, "Log out?", 200, post_logout_redirect_uri=AFTER_LOGOUT, state=random_text(128)
    )


def test_oidcc_rp_initiated_logout_no_params(module: Module) -> None:
    module.flow()
    check_logout_ends_on_page(module, "You are logged out", 200)
    assert "Confirm" in module.browser.tasks


def test_oidcc_rp_initiated_logout_only_state(module: Module) -> None:
    module.flow()
    check_logout_ends_on_page(module, "You are logged out", 200, state=random_text(128))


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(module: Module) -> None:
    id_token = module.flow().answer["id_token"]
    check_logout_ends_on_page(module, "You are logged out", 200, id_token_hint=id_token, state="s")


# --- Back-Channel Logout ----------------------------------------------------------------------


def test_oidcc_backchannel_logout_discovery_endpoint_verification(module: Module) -> None:
    conditions.metadata(module.metadata, "https://signet.example")
    assert module.metadata["backchannel_logout_supported"] is True
    assert module.metadata["backchannel_logout_session_supported"] is True
    assert module.metadata["end_session_endpoint"].startswith("https://")


def test_oidcc_backchannel_rp_initiated_logout(
    suite: Suite, module: Module, receiver: LogoutReceiver, tmp_path: Path
) -> None:
    """Replaces one URL of the shipped clients, since the suite's host is not on this machine."""
    shipped = CLIENTS.read_text()
    registered_uri = f"{BASE}/backchannel_logout"
    assert f'"{registered_uri}"' in shipped
    path = "/test/a/signet/backchannel_logout"
    suite.apply_clients(shipped.replace(f'"{registered_uri}"', f'"{receiver.url}{path}"'), tmp_path)
    flow = module.flow()
    state = random_text(128)

    landing = module.log_out(
        id_token_hint=flow.answer["id_token"], post_logout_redirect_uri=AFTER_LOGOUT, state=state
    )

    call = receiver.wait_for_call(10)
    assert landing.url.partition("?")[0] == AFTER_LOGOUT
    assert landing.parameters == {"state": state}
    assert call.path == path
    assert call.content_type == "application/x-www-form-urlencoded"
    assert call.tls in ("TLSv1.2", "TLSv1.3")
    assert call.form.keys() == {"logout_token"}
    conditions.logout_token(
        *(call.form["logout_token"], module.keys, module.metadata["issuer"]),
        *(flow.client["client_id"], flow.claims),
    )
    assert flow.client["client_id"] == "conformance-backchannel"
    module.check_logged_out()


# --- Slow modules -----------------------------------------------------------------------------


def test_oidcc_codereuse_30seconds(module: Module) -> None:
    """The code was exchanged before the first module ran."""
    assert module.suite.redeemed is not None
    flow, redeemed_at = module.suite.redeemed
    assert conditions.check_json(module.userinfo(flow.access_token), 200) == flow.userinfo
    time.sleep(max(0.0, redeemed_at + REUSE_AFTER_SECONDS - time.monotonic()))

    again = module.redeem(flow.client, flow.request, flow.code)

    assert conditions.check_json(again, 400)["error"] == "invalid_grant"
    assert module.userinfo(flow.access_token).status_code == 401


def test_documentation_and_configuration_list_these_modules(suite: Suite) -> None:
    tests = [name for name in globals() if name.startswith("test_oidcc_")]
    modules = {name.removeprefix("test_").replace("_", "-") for name in tests}
    page = (REPOSITORY / "docs/conformance.md").read_text()

    assert set(re.findall(r"^\| `(oidcc-[a-z0-9-]+)` \|", page, re.MULTILINE)) == modules
    # A module of the comprehensive plan, which these tests do not implement.
    other_modules = {"oidcc-redirect-uri-query-added"}
    assert suite.configuration["override"].keys() <= modules | other_modules


def as_request_object(request: dict[str, str]) -> dict[str, str]:
    """Puts all parameters into an unsigned JWT.

    Only the parameters that the code flow requires are also sent outside of the JWT.
    """
    inner = {**request, "iss": request["client_id"], "aud": "https://signet.example"}
    parts = ({"alg": "none"}, inner)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    required_names = ("client_id", "redirect_uri", "response_type", "scope")
    return {
        **{name: request[name] for name in required_names},
        "request": f"{encoded[0].decode()}.{encoded[1].decode()}.",
    }

"""Runs the modules of the certification without the official suite, with the configuration in
`tests/conformance`."""

import base64
import json
import secrets
import string
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx

import conditions
from conditions import Json
from databases import Database
from form_browser import Landing
from processes import REPOSITORY, SIGNET_BIN, ProcessKiller, Signet, clean_environment
from scripted_browser import ScriptedBrowser
from tls_proxy import ISSUER, TlsProxy, tls_proxy

CLIENTS = REPOSITORY / "tests/conformance/clients.toml"
CONFIGURATION = REPOSITORY / "tests/conformance/config.json"
SUITE = "https://localhost.emobix.co.uk:8443/"
BASE = f"{SUITE}test/a/signet"

PROFILE = json.loads((REPOSITORY / "tests/conformance/profile.json").read_text())
"""A profile with all claims. The suite warns if a claim is missing."""

ERROR_PARAMETERS = {"error", "error_description", "error_uri", "state", "iss", "session_state"}
CODE_PARAMETERS = {"code", "state", "iss", "session_state"}


@dataclass
class Suite:
    """A replacement for the official suite: its configuration and the Signet under test."""

    signet: Signet
    proxy: TlsProxy
    configuration: Json
    redeemed: tuple["Flow", float] | None = None
    """A flow whose code has been exchanged, and the time of the exchange (`time.monotonic`)."""

    def module(self, name: str) -> "Module":
        """A module with its part of the configuration and a new browser."""
        configuration = {**self.configuration, **self.configuration["override"].get(name, {})}
        entries = deepcopy(configuration["browser"])
        return Module(self, configuration, ScriptedBrowser(self.proxy.client(), SUITE, entries))

    def apply_clients(self, text: str, directory: Path) -> dict[str, str]:
        """Runs `signet client apply`. Returns the printed secrets."""
        file = directory / "clients.toml"
        file.write_text(text)
        printed = subprocess.run(
            [SIGNET_BIN, "client", "apply", file],
            env={**clean_environment(), **self.signet.settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert printed.returncode == 0, printed.stderr
        lines = [line.split() for line in printed.stdout.splitlines()]
        return {words[0]: words[2] for words in lines if len(words) == 3}


@dataclass
class Flow:
    """A completed code flow."""

    client: Json
    request: dict[str, str]
    code: str
    answer: Json
    """The token response."""
    claims: Json
    """The claims of the ID token."""
    userinfo: Json

    @property
    def access_token(self) -> str:
        return str(self.answer["access_token"])


@dataclass
class Module:
    """One module of the certification: its requests, and checks of the responses."""

    suite: Suite
    configuration: Json
    browser: ScriptedBrowser
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = self.suite.proxy.client()

    @cached_property
    def metadata(self) -> Json:
        url = self.configuration["server"]["discoveryUrl"]
        return conditions.check_json(self.http.get(url), 200)

    @cached_property
    def keys(self) -> dict[str, Any]:
        answer = self.http.get(self.metadata["jwks_uri"])
        return conditions.keys(conditions.check_json(answer, 200, "application/jwk-set+json"))

    def client(self, name: str = "client") -> Json:
        client: Json = self.configuration[name]
        return client

    def request(self, client: Json | None = None, **more: str | None) -> dict[str, str]:
        """Parameters of an authorization request. A parameter that is None is omitted."""
        usual = {
            "client_id": (client or self.client())["client_id"],
            "redirect_uri": f"{BASE}/callback",
            "scope": "openid",
            "state": random_text(10),
            "nonce": random_text(10),
            "response_type": "code",
        }
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def send(self, request: dict[str, str], method: str = "GET") -> Landing:
        """Opens the authorization endpoint in the browser."""
        url = f"{self.metadata['authorization_endpoint']}?{urlencode(request)}"
        return self.browser.visit(url, method)

    def code(self, landing: Landing, request: dict[str, str]) -> str:
        """The code of a successful authorization response."""
        assert landing.url.startswith(request["redirect_uri"]), landing
        assert "#" not in landing.url
        received, registered = self._callback_parameters(landing, request)
        assert "error" not in received, received
        assert received.keys() <= CODE_PARAMETERS | registered.keys(), received
        assert received.get("state") == request.get("state")
        assert received["iss"] == self.metadata["issuer"]
        return received["code"]

    def error(self, landing: Landing, request: dict[str, str], *expected: str) -> None:
        """Checks an error response: its parameters must be permitted and its state unchanged."""
        assert landing.url.startswith(request["redirect_uri"]), landing
        received, registered = self._callback_parameters(landing, request)
        assert received["error"] in expected, received
        assert received.keys() <= ERROR_PARAMETERS | registered.keys(), received
        assert received.get("state") == request.get("state")
        assert received["iss"] == self.metadata["issuer"]

    def _callback_parameters(
        self, landing: Landing, request: dict[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        received = landing.parameters
        registered = Landing(request["redirect_uri"], 0, "").parameters
        assert registered.items() <= received.items(), "the registered query is preserved"
        return received, registered

    def check_page(self, landing: Landing, *statuses: int) -> None:
        """Checks that the browser shows a page of Signet."""
        assert landing.url.startswith(f"{ISSUER}/"), landing
        assert landing.status in statuses, landing
        assert "<h1>" in landing.text

    def token_answer(self, client: Json, form: dict[str, str], by: str = "basic") -> httpx.Response:
        identity, secret = client["client_id"], client["client_secret"]
        headers = {}
        if by == "basic":
            pair = f"{quote_plus(identity)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form = {**form, "client_id": identity, "client_secret": secret}
        return self.http.post(self.metadata["token_endpoint"], data=form, headers=headers)

    def redeem(
        self, client: Json, request: dict[str, str], code: str, by: str = "basic", **more: str
    ) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request["redirect_uri"],
            **more,
        }
        return self.token_answer(client, form, by)

    def tokens(self, answer: httpx.Response, scope: str) -> Json:
        """Checks a token response (RFC 6749 §5.1). Returns its members."""
        members = conditions.check_json(answer, 200)
        directives = answer.headers["Cache-Control"].split(",")
        assert "no-store" in map(str.strip, directives)
        assert members["token_type"].lower() == "bearer"
        assert type(members["expires_in"]) is int
        assert members["expires_in"] > 0
        conditions.check_secret(members["access_token"])
        if "refresh_token" in members:
            conditions.check_secret(members["refresh_token"])
        assert set(members.get("scope", scope).split(" ")) <= set(scope.split(" "))
        return members

    def id_token(self, answer: Json, client: Json, nonce: str | None) -> Json:
        return conditions.id_token(
            answer["id_token"],
            self.keys,
            self.metadata["issuer"],
            client["client_id"],
            answer["access_token"],
            nonce,
        )

    def userinfo(self, access_token: str, method: str = "GET") -> httpx.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.http.request(method, self.metadata["userinfo_endpoint"], headers=headers)

    def flow(
        self, client: Json | None = None, method: str = "GET", by: str = "basic", **more: str | None
    ) -> Flow:
        """Runs a complete flow with the checks that all code flow modules make."""
        client = client or self.client()
        verifier = more.pop("verifier", None)
        request = self.request(client, **more)
        code = self.code(self.send(request, method), request)
        proof = {} if verifier is None else {"code_verifier": verifier}
        answer = self.tokens(
            self.redeem(client, request, code, by, **proof), request.get("scope", "")
        )
        claims = self.id_token(answer, client, request.get("nonce"))
        return self.complete(client, request, code, answer, claims)

    def complete(
        self, client: Json, request: dict[str, str], code: str, answer: Json, claims: Json
    ) -> Flow:
        """Checks userinfo, and returns the completed flow."""
        members = conditions.check_json(self.userinfo(answer["access_token"]), 200)
        assert members["sub"] == claims["sub"]
        conditions.userinfo(members, request["scope"])
        return Flow(client, request, code, answer, claims, members)

    def log_out(self, **parameters: str) -> Landing:
        """Opens the end session endpoint in the browser."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.browser.visit(f"{self.metadata['end_session_endpoint']}{query}")

    def check_logged_out(self) -> None:
        """Checks that an authorization request with `prompt=none` gets an error."""
        request = self.request(prompt="none", state=random_text(128))
        errors = ("login_required", "interaction_required", "account_selection_required")
        self.error(self.send(request), request, *errors)


def random_text(length: int) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(length))


@contextmanager
def conformance_run(
    directory: Path, database: Database, kill_later: ProcessKiller, **settings: str
) -> Iterator[Suite]:
    """Signet as docs/conformance.md sets it up, with the shipped clients and configuration."""
    limits = ("SIGNET_ATTEMPTS_PER_MINUTE", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE")
    signet = Signet(
        directory,
        database,
        SIGNET_ISSUER=ISSUER,
        SIGNET_TRUSTED_PROXIES="127.0.0.1/32",
        SIGNET_LOGOUT_PRIVATE_NETWORKS="true",
        **dict.fromkeys(limits, "1000"),
        **settings,
    )
    kill_later(signet).start()
    configuration: Json = json.loads(CONFIGURATION.read_text())
    with tls_proxy(directory, signet.url) as proxy:
        suite = Suite(signet, proxy, configuration)
        client_secrets = suite.apply_clients(CLIENTS.read_text(), directory)
        for section in (configuration, *configuration["override"].values()):
            for name in section.keys() & {"client", "client2", "client_secret_post"}:
                client = section[name]
                client["client_secret"] = client_secrets.pop(client["client_id"])
        assert not client_secrets, "a client of clients.toml is not in config.json"
        sign_up(suite)
        yield suite


def sign_up(suite: Suite) -> None:
    """Signs up the account that is used by the configured browser."""
    commands = [
        command
        for entry in suite.configuration["browser"]
        for task in entry["tasks"]
        for command in task.get("commands", [])
        if command[0] == "text"
    ]
    typed = {command[2]: command[3] for command in commands}
    account = {"email": typed["username"], "password": typed["password"]}
    with suite.proxy.client(base_url=ISSUER) as http:
        token = conditions.check_json(http.post("/api/auth/signup", json=account), 201)[
            "access_token"
        ]
        headers = {"Authorization": f"Bearer {token}"}
        conditions.check_json(http.patch("/api/auth/me", json=PROFILE, headers=headers), 200)


def redeem_for_later_reuse(suite: Suite, module: Module) -> None:
    """Exchanges a code now. A later test presents the code again."""
    suite.redeemed = (module.flow(), time.monotonic())

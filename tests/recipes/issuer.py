"""A Signet for one recipe, with clients, a user, valid tokens and tokens that must be rejected."""

import json
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from recipe import Recipe, Service
from forgery import claims_of, encode, header_of, signing_input
from harness import PASSWORD, Client, Workspace, command, httpx, wait_for
from person import Person
from processes import Signet
from stock import register

TASKS = "https://tasks.example"
"""The audience of the recipes."""

NOTES = "https://notes.example"
"""The audience of another resource server."""

OTHER_CALLBACK = "https://app.example/callback"
TOKEN_SECONDS = 300
"""Lifetime of a valid token in seconds, longer than the phases `outage` and `revocation`."""

SHORT_TIMES = {
    "SIGNET_KEY_PUBLICATION_SECONDS": "90",
    "SIGNET_JWKS_MAX_AGE_SECONDS": "15",
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "5",
}
"""Shorter times than the defaults of publication (1200 s) and max-age (300 s)."""

DEFAULT_TIMES = {"SIGNET_KEY_PUBLICATION_SECONDS": "1200", "SIGNET_JWKS_MAX_AGE_SECONDS": "300"}


class Issuer:
    """A running Signet with clients, a user and tokens that must be rejected (`invalid`)."""

    def __init__(self, workspace: Workspace, service: Service, long: bool) -> None:
        recipe = service.recipe
        directory: Path = workspace.directory / "issuer"
        directory.mkdir()
        settings = {**(DEFAULT_TIMES if long else SHORT_TIMES), **recipe.settings}
        self.signet: Signet = workspace.signet(
            f"sqlite:{directory}/signet.db",
            SIGNET_AUDIENCE=TASKS,
            SIGNET_ACCESS_TOKEN_SECONDS=str(900 if long else TOKEN_SECONDS),
            SIGNET_KEY_ROTATION_SECONDS="0",
            SIGNET_LOGOUT_PRIVATE_NETWORKS="true",
            **settings,
        )
        self.long = long
        self.publication = int(self.signet.settings["SIGNET_KEY_PUBLICATION_SECONDS"])
        self.invalid: dict[str, str] = {}
        self._issue_with_other_settings()
        self.signet.start()
        self.secrets = register(self.signet, directory, clients(recipe, service.url))
        self.user = Client(self.signet.url).sign_up()
        self._create_invalid_tokens()

    def _issue_with_other_settings(self) -> None:
        """Issues a token with another `iss` and one with a short lifetime, by the same keys."""
        foreign = f"http://localhost:{self.signet.port}"
        self.signet.start(SIGNET_ISSUER=foreign)
        self.invalid["another issuer"] = Client(self.signet.url).sign_up().body["access_token"]
        self.signet.restart(SIGNET_ACCESS_TOKEN_SECONDS="1")
        self.invalid["expired"] = Client(self.signet.url).sign_up().body["access_token"]
        self.signet.stop()

    def _create_invalid_tokens(self) -> None:
        good = self.user.body["access_token"]
        head, body, signature = good.split(".")
        claims = claims_of(good)
        changed = encode(json.dumps({**claims, "sub": "somebody"}).encode())
        login_tokens = self.log_in()
        self.invalid |= {
            "another audience": self.client_token("job", NOTES),
            "ID token": login_tokens["id_token"],
            "status list": httpx.get(claims["status"]["status_list"]["uri"]).text,
            "alg none": signing_input({**header_of(good), "alg": "none"}, claims) + ".",
            "altered": f"{head}.{changed}.{signature}",
        }

    def client_token(self, client: str, audience: str) -> str:
        form = {"grant_type": "client_credentials", "resource": audience}
        return str(self._token(client, form)["access_token"])

    def log_in(self) -> dict[str, Any]:
        """The token response of an application after a login on the hosted pages."""
        person = Person(self.user.email, PASSWORD, self.signet.issuer)
        parameters = {
            "response_type": "code",
            "client_id": "other-app",
            "redirect_uri": OTHER_CALLBACK,
            "scope": "openid",
            "state": "a-state",
            "nonce": secrets.token_urlsafe(),
        }
        arrival = person.visit(f"{self.signet.url}/oauth2/authorize?{urlencode(parameters)}")
        assert arrival.url.startswith(f"{OTHER_CALLBACK}?"), arrival
        [code] = parse_qs(urlsplit(arrival.url).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": OTHER_CALLBACK}
        return self._token("other-app", form)

    def _token(self, client: str, form: dict[str, str]) -> dict[str, Any]:
        credentials = (client, self.secrets[client])
        answer = httpx.post(
            f"{self.signet.url}/oauth2/token", data=form, auth=credentials, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def environment(self) -> dict[str, str]:
        """The environment variables that the program of a recipe reads."""
        return {
            "ISSUER": self.signet.issuer,
            "AUDIENCE": TASKS,
            "CLIENT_ID": "recipe",
            "CLIENT_SECRET": self.secrets["recipe"],
        }

    def keys(self, *arguments: str) -> None:
        """Runs `signet keys …`."""
        process = command(self.signet, "keys", *arguments)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output


def clients(recipe: Recipe, url: str) -> list[dict[str, Any]]:
    """The clients: the recipe's, another application, and a job with client credentials."""
    recipe_client: dict[str, Any] = {
        "client_id": "recipe",
        "grant_types": [],
        "introspects": [TASKS],
    }
    if recipe.kind == "login":
        recipe_client = {
            "client_id": "recipe",
            "application_type": "native",  # allows a redirect URI at http://127.0.0.1
            "redirect_uris": [f"{url}{recipe.callback}"],
            "grant_types": ["authorization_code"],
            "scope": "openid profile email",
        }
        if recipe.after_logout:
            recipe_client["post_logout_redirect_uris"] = [
                url + recipe.after_logout.removesuffix("/")
            ]
        if recipe.backchannel_logout:
            recipe_client["backchannel_logout_uri"] = f"{url}{recipe.backchannel_logout}"
    application = {
        "client_id": "other-app",
        "redirect_uris": [OTHER_CALLBACK],
        "grant_types": ["authorization_code"],
        "scope": "openid",
        "audiences": [TASKS],
    }
    job = {
        "client_id": "job",
        "grant_types": ["client_credentials"],
        "scope": "tasks:read",
        "audiences": [TASKS, NOTES],
    }
    return [recipe_client, application, job]


class TokenSource:
    """A session that is refreshed every second, and its latest tokens."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._tokens: deque[tuple[str, str, float]] = deque(maxlen=60)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.errors: list[str] = []

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            try:
                answer = self._issuer.user.refresh()
                assert answer.status_code == 200, answer.text
                self._store_token()
            except Exception as error:  # noqa: BLE001
                self.errors.append(repr(error))

    def _store_token(self) -> None:
        token = self._issuer.user.body["access_token"]
        self._tokens.append((token, header_of(token)["kid"], claims_of(token)["exp"]))

    @property
    def kid(self) -> str:
        """The `kid` of the newest token."""
        return self._tokens[-1][1]

    def newest(self) -> tuple[str, str]:
        return self._tokens[-1][:2]

    def choose(self) -> tuple[str, str]:
        """The newest token, or with a probability of one half a valid one of the last minute."""
        if secrets.randbelow(2):
            return self._tokens[-1][:2]
        token, kid, expires = secrets.choice(list(self._tokens))
        return (token, kid) if expires > time.time() + 5 else self._tokens[-1][:2]

    def unknown(self) -> tuple[str, str]:
        """A token with a random `kid`, which no key has."""
        token = self._tokens[-1][0]
        header = {**header_of(token), "kid": secrets.token_urlsafe(32)}
        body = token.split(".")[1]
        signature = encode(secrets.token_bytes(256))
        return f"{encode(json.dumps(header).encode())}.{body}.{signature}", "unknown"

    def wait_for_next_key(self, kid: str, seconds: float) -> None:
        wait_for(lambda: self.kid != kid, seconds, "a token by the next key")

    def __enter__(self) -> "TokenSource":
        answer = self._issuer.user.refresh()
        assert answer.status_code == 200, answer.text
        self._store_token()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

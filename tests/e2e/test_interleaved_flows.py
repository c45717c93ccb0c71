"""A thousand concurrent code flows of a hundred users do not get each other's data (SS-10).

All flows start before the first one continues. Then each thread repeatedly takes one step of one
flow, in nearly random order. On PostgreSQL a random one of two instances handles each request.
"""

import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import jwt

import conditions
from balancer import ISSUER, Balancer
from clients import PASSWORD, SignetClient, Tokens, random_email
from databases import Database, PostgresDatabase
from form_browser import FormBrowser
from processes import ProcessKiller, Signet
from stock import register

USERS = 100
CLIENTS = 10
THREADS = 8
CANDIDATES = 100
"""How many of the flows that have waited longest are candidates for the next step."""

SCOPE = "openid email"


@dataclass(frozen=True)
class Client:
    identity: str
    name: str
    secret: str
    callback: str


@dataclass(frozen=True)
class Person:
    email: str
    user_id: str


@dataclass
class FlowResult:
    """The result of a flow."""

    person: Person
    client: Client
    claims: conditions.Json
    email: str


def test_thousand_interleaved_flows_do_not_get_mixed_up(
    tmp_path: Path, database: Database, kill_after_test: ProcessKiller
) -> None:
    instances = start_instances(tmp_path, database, kill_after_test)
    clients = register_clients(instances[0], tmp_path)
    users = sign_up_users(instances[0])
    balancer = Balancer([signet.port for signet in instances])
    results: list[FlowResult] = []
    keys = conditions.keys(call(balancer, "GET", "/.well-known/jwks.json").json())
    flows = [
        flow(person, client, balancer, keys, results) for person in users for client in clients
    ]
    random.shuffle(flows)
    began = time.monotonic()

    advance_flows(flows, once=True)
    assert not results
    advance_flows(flows)

    seconds = time.monotonic() - began
    print(f"{len(results)} flows in {seconds:.1f} s, {dict(balancer.answered)} requests by port")
    assert len(results) == USERS * CLIENTS
    for result in results:
        assert (result.claims["sub"], result.email) == (result.person.user_id, result.person.email)
        assert result.claims["aud"] == result.client.identity
    assert {(result.person.user_id, result.client.identity) for result in results} == {
        (person.user_id, client.identity) for person in users for client in clients
    }
    assert len({result.claims["sid"] for result in results}) == len(results)
    # Each browser gets a cookie before its login and another one after it, each under two names.
    assert len(balancer.cookies) == len(set(balancer.cookies)) == 2 * 2 * len(results)
    assert all(balancer.answered[signet.port] > len(results) for signet in instances)


def flow(
    person: Person,
    client: Client,
    balancer: Balancer,
    keys: dict[str, jwt.PyJWK],
    results: list[FlowResult],
) -> Iterator[None]:
    """Logs a user in to a client in a separate browser. Other flows continue at each `yield`."""
    state, nonce = secrets.token_urlsafe(), secrets.token_urlsafe()
    browser = FormBrowser(httpx.Client(transport=balancer, timeout=60), client.callback)
    request = {
        "response_type": "code",
        "client_id": client.identity,
        "redirect_uri": client.callback,
        "scope": SCOPE,
        "state": state,
        "nonce": nonce,
    }

    page = browser.open("GET", f"{ISSUER}/oauth2/authorize?{urlencode(request)}")
    assert (page.status, browser.page.heading) == (200, "Log in"), page
    assert client.name in page.text
    yield

    browser.fill("username", person.email)
    browser.fill("password", PASSWORD)
    page = browser.click("login-submit")
    assert (page.status, browser.page.heading) == (200, "Allow access?"), page
    assert client.name in page.text
    assert person.email in page.text
    yield

    arrival = browser.click("consent-allow")
    assert arrival.url.startswith(f"{client.callback}?"), arrival
    received = arrival.parameters
    assert received.keys() == {"code", "state", "iss"}, received
    assert (received["state"], received["iss"]) == (state, ISSUER)
    yield

    form = {
        "grant_type": "authorization_code",
        "code": received["code"],
        "redirect_uri": client.callback,
        "client_id": client.identity,
        "client_secret": client.secret,
    }
    tokens = conditions.check_json(call(balancer, "POST", "/oauth2/token", data=form), 200)
    access_token = tokens["access_token"]
    claims = conditions.id_token(
        tokens["id_token"], keys, ISSUER, client.identity, access_token, nonce
    )
    yield

    headers = {"Authorization": f"Bearer {access_token}"}
    userinfo = conditions.check_json(
        call(balancer, "GET", "/oauth2/userinfo", headers=headers), 200
    )
    assert userinfo["sub"] == claims["sub"]
    results.append(FlowResult(person, client, claims, userinfo["email"]))


def advance_flows(flows: list[Iterator[None]], *, once: bool = False) -> None:
    """Repeatedly takes a step of one of the flows that have waited longest, until all have ended.

    With `once`, it takes one step of each flow.
    """
    waiting, lock = deque(flows), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                # Without this limit, codes could expire before their flow continues.
                index = random.randrange(min(len(waiting), CANDIDATES))
                waiting[index], waiting[0] = waiting[0], waiting[index]
                selected = waiting.popleft()
            if next(selected, selected) is not selected and not once:
                with lock:
                    waiting.append(selected)

    with ThreadPoolExecutor(THREADS) as pool:
        for worker in [pool.submit(work) for _ in range(THREADS)]:
            worker.result()


def call(balancer: Balancer, method: str, path: str, **options: object) -> httpx.Response:
    """Sends a request without cookies."""
    http = httpx.Client(transport=balancer, timeout=60)
    return http.request(method, f"{ISSUER}{path}", **options)  # type: ignore[arg-type]


def start_instances(
    directory: Path, database: Database, kill_after_test: ProcessKiller
) -> list[Signet]:
    """Two instances with a common database and master key, or one instance on SQLite."""
    limits = (
        *("ATTEMPTS_PER_MINUTE", "ACCOUNT_ATTEMPTS_PER_MINUTE"),
        *("REFRESHES_PER_MINUTE", "REQUESTS_PER_MINUTE"),
    )
    settings = {
        "SIGNET_ISSUER": ISSUER,
        # On a busy machine, slow hashing must not cause rejected requests.
        "SIGNET_HASH_BACKLOG_SECONDS": "60",
        **{f"SIGNET_{limit}": "100000" for limit in limits},
    }
    count = 2 if isinstance(database, PostgresDatabase) else 1
    instances = [kill_after_test(Signet(directory, database, **settings)) for _ in range(count)]
    for signet in instances:
        signet.start()
    return instances


def register_clients(signet: Signet, directory: Path) -> list[Client]:
    registrations = [
        {
            "client_id": f"app-{number}",
            "client_name": f"Application no. {number}.",
            "redirect_uris": [f"https://app-{number}.example/callback"],
            "scope": SCOPE,
            "token_endpoint_auth_method": "client_secret_post",
            "require_pkce": False,
        }
        for number in range(CLIENTS)
    ]
    client_secrets = register(signet, directory, registrations)
    return [
        Client(
            identity=str(client["client_id"]),
            name=str(client["client_name"]),
            secret=client_secrets[str(client["client_id"])],
            callback=f"https://{client['client_id']}.example/callback",
        )
        for client in registrations
    ]


def sign_up_users(signet: Signet) -> list[Person]:
    with SignetClient(signet.url) as front_end, ThreadPoolExecutor(4) as pool:
        answers = pool.map(front_end.sign_up, [random_email() for _ in range(USERS)])
        signed_up = [Tokens.of(answer, 201) for answer in answers]
    return [Person(tokens.email, tokens.user_id) for tokens in signed_up]

"""A thousand concurrent code flows of a hundred users: each ends where it belongs (SS-10).

All of them start before the first continues; then each thread takes one step of one flow at a time,
in nearly random order. On PostgreSQL either of two instances handles any request.
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
from clients import PASSWORD, SignetClient, Tokens, some_email
from databases import Database, PostgresDatabase
from form_browser import FormBrowser
from processes import Owner, Signet
from stock import register

PEOPLE = 100
CLIENTS = 10
THREADS = 8
CHOICE = 100  # the next step is one of this many flows that wait longest

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
class End:
    """The result of a flow."""

    person: Person
    client: Client
    claims: conditions.Json
    email: str


def test_thousand_interleaved_flows_do_not_mix(
    tmp_path: Path, database: Database, owned: Owner
) -> None:
    instances = start_instances(tmp_path, database, owned)
    clients = register_clients(instances[0], tmp_path)
    people = sign_up_people(instances[0])
    balancer = Balancer([signet.port for signet in instances])
    ends: list[End] = []
    keys = conditions.keys(call(balancer, "GET", "/.well-known/jwks.json").json())
    flows = [flow(person, client, balancer, keys, ends) for person in people for client in clients]
    random.shuffle(flows)
    began = time.monotonic()

    take_steps(flows, once=True)
    assert not ends
    take_steps(flows)

    took = time.monotonic() - began
    print(f"{len(ends)} flows in {took:.1f} s, {dict(balancer.answered)} requests by port")
    assert len(ends) == PEOPLE * CLIENTS
    for end in ends:
        assert (end.claims["sub"], end.email) == (end.person.user_id, end.person.email)
        assert end.claims["aud"] == end.client.identity
    assert {(end.person.user_id, end.client.identity) for end in ends} == {
        (person.user_id, client.identity) for person in people for client in clients
    }
    assert len({end.claims["sid"] for end in ends}) == len(ends)
    # Per browser one cookie before and one after its login, each under both names, and none of them
    # twice.
    assert len(balancer.cookies) == len(set(balancer.cookies)) == 2 * 2 * len(ends)
    assert all(balancer.answered[signet.port] > len(ends) for signet in instances)


def flow(
    person: Person,
    client: Client,
    balancer: Balancer,
    keys: dict[str, jwt.PyJWK],
    ends: list[End],
) -> Iterator[None]:
    """A user logs in to a client in a separate browser; each `yield` lets other flows continue."""
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
    brought = arrival.parameters
    assert brought.keys() == {"code", "state", "iss"}, brought
    assert (brought["state"], brought["iss"]) == (state, ISSUER)
    yield

    form = {
        "grant_type": "authorization_code",
        "code": brought["code"],
        "redirect_uri": client.callback,
        "client_id": client.identity,
        "client_secret": client.secret,
    }
    tokens = conditions.is_json(call(balancer, "POST", "/oauth2/token", data=form), 200)
    access_token = tokens["access_token"]
    claims = conditions.id_token(
        tokens["id_token"], keys, ISSUER, client.identity, access_token, nonce
    )
    yield

    headers = {"Authorization": f"Bearer {access_token}"}
    said = conditions.is_json(call(balancer, "GET", "/oauth2/userinfo", headers=headers), 200)
    assert said["sub"] == claims["sub"]
    ends.append(End(person, client, claims, said["email"]))


def take_steps(flows: list[Iterator[None]], *, once: bool = False) -> None:
    """Takes one step of one of the longest waiting flows at a time, until all have ended.

    With `once`, each flow goes one step.
    """
    waiting, lock = deque(flows), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                # Without this limit, some would wait until their code has expired, on a busy
                # machine.
                index = random.randrange(min(len(waiting), CHOICE))
                waiting[index], waiting[0] = waiting[0], waiting[index]
                taken = waiting.popleft()
            if next(taken, taken) is not taken and not once:
                with lock:
                    waiting.append(taken)

    with ThreadPoolExecutor(THREADS) as pool:
        for worker in [pool.submit(work) for _ in range(THREADS)]:
            worker.result()


def call(balancer: Balancer, method: str, path: str, **options: object) -> httpx.Response:
    """Sends a request without cookies."""
    http = httpx.Client(transport=balancer, timeout=60)
    return http.request(method, f"{ISSUER}{path}", **options)  # type: ignore[arg-type]


def start_instances(directory: Path, database: Database, owned: Owner) -> list[Signet]:
    """Two instances with one database and one master key, if the database supports several."""
    limits = (
        *("ATTEMPTS_PER_MINUTE", "ACCOUNT_ATTEMPTS_PER_MINUTE"),
        *("REFRESHES_PER_MINUTE", "REQUESTS_PER_MINUTE"),
    )
    settings = {
        "SIGNET_ISSUER": ISSUER,
        # Hashing on a busy machine must not cause refusals.
        "SIGNET_HASH_BACKLOG_SECONDS": "60",
        **{f"SIGNET_{limit}": "100000" for limit in limits},
    }
    count = 2 if isinstance(database, PostgresDatabase) else 1
    instances = [owned(Signet(directory, database, **settings)) for _ in range(count)]
    for signet in instances:
        signet.start()
    return instances


def register_clients(signet: Signet, directory: Path) -> list[Client]:
    described = [
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
    issued = register(signet, directory, described)
    return [
        Client(
            identity=str(client["client_id"]),
            name=str(client["client_name"]),
            secret=issued[str(client["client_id"])],
            callback=f"https://{client['client_id']}.example/callback",
        )
        for client in described
    ]


def sign_up_people(signet: Signet) -> list[Person]:
    with SignetClient(signet.url) as front_end, ThreadPoolExecutor(4) as pool:
        answers = pool.map(front_end.sign_up, [some_email() for _ in range(PEOPLE)])
        signed_up = [Tokens.of(answer, 201) for answer in answers]
    return [Person(tokens.email, tokens.user_id) for tokens in signed_up]

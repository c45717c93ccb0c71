"""The log: one JSON object per line whatever callers send, and never a secret."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from canaries import Canaries, run_a_flow
from clients import SignetClient, Tokens
from databases import fresh_database
from processes import Signet

FORGED = '","level":"ERROR","message":"forged entry"}'
# Line breaks and terminal controls, in ASCII and beyond.
HOSTILE = (
    *("\r\n", "\r\n ", "\n", "\r", "\x1b[2K\x1b[31m", "\x00", "\x08", "\x0b", "\x7f"),
    *("\x85", "\u2028", "\u2029", "\u202e", "\ufeff", "\t", "A" * 600),
    # A byte that is not UTF-8.
    "\udcff",
)
LONGEST_USER_AGENT = 500


@dataclass
class Story:
    """The log of a Signet after requests, and what must not be in it."""

    signet: Signet
    canaries: Canaries
    errors: list[str]
    """The bodies of all error responses."""
    arguments: str
    """Its command line, which every user of the machine can read."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("story")
    database = fresh_database(directory)
    signet = Signet(
        directory,
        database,
        SIGNET_LOG_FORMAT="json",
        SIGNET_LOG="trace",
        SIGNET_TRUSTED_PROXIES="127.0.0.1/32",
        # Without a retry window, reuse of a refresh token is always an event.
        SIGNET_REFRESH_RETRY_SECONDS="0",
    )
    try:
        signet.start()
        canaries = Canaries()
        if database.password:
            canaries.new("password of the database", database.password)
        for number, line in enumerate(signet.master_key_path.read_text().split()):
            canaries.new(f"line {number} of the master key", line)
        errors: list[str] = []
        with SignetClient(signet.url, behind_proxy=True, watch=keep_errors(errors)) as client:
            use_every_secret(client, canaries)
        run_a_flow(signet, canaries, keep_errors(errors))
        send_hostile_requests(signet)
        arguments = Path(f"/proc/{signet.pid}/cmdline").read_bytes().decode()
        assert signet.stop() == 0
        yield Story(signet, canaries, errors, arguments)
    finally:
        signet.kill()
        database.drop()


def use_every_secret(client: SignetClient, canaries: Canaries) -> None:
    password = canaries.new("password", "Canary-Sign-Up-8d1f")
    wrong = canaries.new("wrong password", "Canary-Wrong-52c7")
    changed = canaries.new("new password", "Canary-Changed-91e4")
    weak = canaries.new("weak password", "canary-weak-77ab")
    misplaced = canaries.new("password typed as the address", "Canary-Misplaced-3b6d")

    ada = Tokens.of(client.sign_up("ada@example.test", password), 201)
    remember(canaries, "sign-up", ada)
    remember(canaries, "login", Tokens.of(client.log_in("ada@example.test", password), 200))
    refreshed = Tokens.of(client.refresh(ada.refresh_token), 200)
    remember(canaries, "refresh", refreshed)
    assert client.sign_up("ada@example.test", password).status_code == 409
    assert client.sign_up("bob@example.test", weak).status_code == 400
    assert client.log_in("ada@example.test", wrong).status_code == 401
    assert client.log_in("nobody@example.test", wrong).status_code == 401
    assert client.log_in(misplaced, wrong).status_code in (400, 401)
    assert client.log_in(f"{misplaced}@example.test", wrong).status_code == 401

    # Whatever these respond, they must not log what they were given.
    bearer = refreshed.access_token
    passwords = {"current_password": password, "new_password": changed}
    client.post("/api/auth/password", {**passwords, "current_password": wrong}, bearer=bearer)
    client.post("/api/auth/password", passwords, bearer=bearer)
    client.post("/api/auth/password/forgot", {"email": "ada@example.test"})
    one_time = canaries.new("one-time token", "Canary-One-Time-e0c4")
    client.post("/api/auth/password/reset", {"token": one_time, "new_password": changed})
    client.post("/api/auth/email/verify", {"token": one_time})
    client.post("/api/auth/refresh", {"refresh_token": refreshed.refresh_token[:-1] + "A"})
    client.post("/api/auth/signup", {"email": ["x"], "password": [password]})
    client.post("/api/auth/signup", {"email": "c@example.test", "password": password, "x": wrong})
    client.post("/api/auth/login", {password: wrong})
    client.post("/api/auth/login", f"{password} is not an object")
    code = canaries.new("authorization code", "Canary-Code-19d3")
    client.get(
        "/oauth2/authorize",
        params={"code": code, "id_token_hint": bearer, "state": code, "client_id": code},
    )
    client.get("/api/auth/me", params={"access_token": bearer, "password": password})
    client.get(f"/no-such-page/{one_time}")
    client.get("/account", headers={"Cookie": f"__Host-session={code}; session={code}"})
    client.get("/api/auth/me", headers={"Authorization": f"Bearer {bearer}x"})
    client.get("/api/auth/me", headers={"Authorization": f"Basic {password}"})
    client.post(f"/login?password={quote(wrong)}", {"password": wrong})
    assert client.refresh(ada.refresh_token).status_code == 401
    client.log_out(refreshed.access_token)


def remember(canaries: Canaries, where: str, tokens: Tokens) -> None:
    # The signature represents the token: header and claims are not secret.
    canaries.new(f"access token of {where}", tokens.access_token.split(".")[2])
    canaries.new(f"refresh token of {where}", tokens.refresh_token.removeprefix("sgr_"))


def keep_errors(errors: list[str]) -> Callable[[httpx.Response], None]:
    def watch(response: httpx.Response) -> None:
        if response.is_error:
            errors.append(response.read().decode())

    return watch


def send_hostile_requests(signet: Signet) -> None:
    """Puts `HOSTILE` everywhere. Each request is well-formed otherwise, so that it is processed."""
    for number, hostile in enumerate(HOSTILE):
        text = f"x{hostile}{FORGED}"
        account = {"email": f"mallory{number}@example.test", "password": "Correct-horse-7"}
        client = {"X-Forwarded-For": f"10.1.1.{number}"}
        send(signet, "POST", "/api/auth/signup", {**client, "User-Agent": text}, account)
        send(signet, "POST", "/api/auth/login", {**client, "User-Agent": text}, account)
        forwarded = {"X-Forwarded-For": f"{text}, 10.1.2.{number}"}
        send(signet, "POST", "/api/auth/login", forwarded, account)
        for name in ("X-Request-Id", "X-Forwarded-For", "Referer", "Origin", "Host", "Cookie"):
            send(signet, "POST", "/api/auth/login", {**client, name: text}, account)
        for body in ({**account, "email": text}, {**account, "password": f"Aa1{text}"}):
            send(signet, "POST", "/api/auth/login", {"X-Forwarded-For": "10.1.3.1"}, body)
            send(signet, "POST", "/api/auth/signup", {"X-Forwarded-For": "10.1.3.1"}, body)
        send(signet, "POST", "/api/auth/login", {**client, text: "1"}, account)
        send(signet, "GET", f"/{quote(text, errors='surrogateescape')}")
        send(signet, "GET", f"/api/auth/me?{quote(text, errors='surrogateescape')}")
        send(signet, "GET", f"/{text.replace(' ', '')}")
        send(signet, f"GET{text.replace(' ', '')}", "/")


def send(
    signet: Signet,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: object = None,
) -> None:
    """Sends the request unchanged, as no HTTP library would. Any response will do, or none."""
    content = b"" if body is None else json.dumps(body).encode()
    complete = {
        "Host": "localhost",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in complete.items())]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    with socket.create_connection(("127.0.0.1", signet.port), timeout=10) as connection:
        try:
            connection.sendall(head.encode(errors="surrogateescape") + content)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass


def test_every_log_line_is_one_json_object(story: Story) -> None:
    lines = story.signet.output_path.read_bytes().removesuffix(b"\n").split(b"\n")

    assert len(lines) > 20, "too few lines were logged"
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_requests_cannot_forge_log_entries(story: Story) -> None:
    text = story.signet.output_path.read_bytes().decode()
    entries = [json.loads(line) for line in text.removesuffix("\n").split("\n")]

    assert "forged entry" not in {entry.get("message") for entry in entries}
    # For all ways of splitting lines, and of interpreting control characters.
    assert len(text.splitlines()) == len(entries)
    controls = {character for character in text if ord(character) < 0x20 or character == "\x7f"}
    assert controls == {"\n"}


def test_audit_events_store_request_values_as_truncated_text(story: Story) -> None:
    rows = story.signet.database.execute("SELECT user_agent, forwarded FROM auth_event")
    user_agents = {user_agent for user_agent, _ in rows if user_agent is not None}
    forwarded = {chain for _, chain in rows if chain is not None}

    assert any("forged entry" in user_agent for user_agent in user_agents), (
        "no request reached the audit log"
    )
    assert max(map(len, user_agents)) <= LONGEST_USER_AGENT
    for text in user_agents | forwarded:
        controls = [character for character in text if ord(character) < 0x20]
        assert controls == [], text


# MUST-212, IJ-03: the canaries are used in flows that succeed and in requests that fail.


def test_no_secret_is_logged(story: Story) -> None:
    assert story.canaries.found_in(story.signet.output) == []


def test_no_error_repeats_a_secret(story: Story) -> None:
    assert len(story.errors) > 25, "too few requests were rejected"
    assert story.canaries.found_in("\n".join(story.errors)) == []


def test_no_secret_is_an_argument(story: Story) -> None:
    assert story.canaries.found_in(story.arguments) == []


def test_no_secret_is_stored_in_the_clear(story: Story) -> None:
    tables = story.signet.database.dump()

    assert len(tables["auth_event"]) > 10, "too few rows were stored"
    assert story.canaries.found_in("\n".join(tables["auth_event"])) == []
    everything = "\n".join(row for rows in tables.values() for row in rows)
    assert story.canaries.found_in(everything) == []

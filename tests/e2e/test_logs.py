"""The log has one JSON object per line, whatever callers send, and contains no secrets."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from canaries import Canaries, run_code_flow
from clients import SignetClient, Tokens
from databases import fresh_database
from processes import Signet

FORGED = '","level":"ERROR","message":"forged entry"}'
# Line breaks, terminal controls and invisible characters, in ASCII and other Unicode.
HOSTILE = (
    *("\r\n", "\r\n ", "\n", "\r", "\x1b[2K\x1b[31m", "\x00", "\x08", "\x0b", "\x7f"),
    *("\x85", "\u2028", "\u2029", "\u202e", "\ufeff", "\t", "A" * 600),
    # A byte that is not UTF-8.
    "\udcff",
)
MAX_USER_AGENT_LENGTH = 500


@dataclass
class LoggedRun:
    """A Signet that processed requests with each kind of secret and was then stopped.

    `canaries` are these secrets, which it must not log.
    """

    signet: Signet
    canaries: Canaries
    errors: list[str]
    """The bodies of all error responses."""
    arguments: str
    """The command line of Signet's process, which every user of the machine can read."""


@pytest.fixture(scope="module")
def logged_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedRun]:
    directory = tmp_path_factory.mktemp("logged-run")
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
            canaries.add("password of the database", database.password)
        for number, line in enumerate(signet.master_key_path.read_text().split()):
            canaries.add(f"line {number} of the master key", line)
        errors: list[str] = []
        with SignetClient(signet.url, behind_proxy=True, watch=collect_errors(errors)) as client:
            use_every_secret(client, canaries)
        run_code_flow(signet, canaries, collect_errors(errors))
        send_hostile_requests(signet)
        arguments = Path(f"/proc/{signet.pid}/cmdline").read_bytes().decode()
        assert signet.stop() == 0
        yield LoggedRun(signet, canaries, errors, arguments)
    finally:
        signet.kill()
        database.drop()


def use_every_secret(client: SignetClient, canaries: Canaries) -> None:
    password = canaries.add("password", "Canary-Sign-Up-8d1f")
    wrong = canaries.add("wrong password", "Canary-Wrong-52c7")
    changed = canaries.add("new password", "Canary-Changed-91e4")
    weak = canaries.add("weak password", "canary-weak-77ab")
    misplaced = canaries.add("password typed as the address", "Canary-Misplaced-3b6d")

    ada = Tokens.of(client.sign_up("ada@example.test", password), 201)
    add_tokens(canaries, "sign-up", ada)
    add_tokens(canaries, "login", Tokens.of(client.log_in("ada@example.test", password), 200))
    refreshed = Tokens.of(client.refresh(ada.refresh_token), 200)
    add_tokens(canaries, "refresh", refreshed)
    assert client.sign_up("ada@example.test", password).status_code == 409
    assert client.sign_up("bob@example.test", weak).status_code == 400
    assert client.log_in("ada@example.test", wrong).status_code == 401
    assert client.log_in("nobody@example.test", wrong).status_code == 401
    assert client.log_in(misplaced, wrong).status_code in (400, 401)
    assert client.log_in(f"{misplaced}@example.test", wrong).status_code == 401

    # The responses do not matter here, only that no secret in a request is logged.
    bearer = refreshed.access_token
    passwords = {"current_password": password, "new_password": changed}
    client.post("/api/auth/password", {**passwords, "current_password": wrong}, bearer=bearer)
    client.post("/api/auth/password", passwords, bearer=bearer)
    client.post("/api/auth/password/forgotten", {"email": "ada@example.test"})
    one_time = canaries.add("one-time token", "Canary-One-Time-e0c4")
    client.post("/api/auth/password/reset", {"token": one_time, "new_password": changed})
    client.post("/api/auth/email/verify", {"token": one_time})
    client.post("/api/auth/refresh", {"refresh_token": refreshed.refresh_token[:-1] + "A"})
    client.post("/api/auth/signup", {"email": ["x"], "password": [password]})
    client.post("/api/auth/signup", {"email": "c@example.test", "password": password, "x": wrong})
    client.post("/api/auth/login", {password: wrong})
    client.post("/api/auth/login", f"{password} is not an object")
    code = canaries.add("authorization code", "Canary-Code-19d3")
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


def add_tokens(canaries: Canaries, origin: str, tokens: Tokens) -> None:
    # Only the signature, since header and claims are not secret.
    canaries.add(f"access token of {origin}", tokens.access_token.split(".")[2])
    canaries.add(f"refresh token of {origin}", tokens.refresh_token.removeprefix("sgr_"))


def collect_errors(errors: list[str]) -> Callable[[httpx.Response], None]:
    def record_error(response: httpx.Response) -> None:
        if response.is_error:
            errors.append(response.read().decode())

    return record_error


def send_hostile_requests(signet: Signet) -> None:
    """Sends each text of `HOSTILE` in every part of a request.

    The other parts are well-formed, so that the request is processed.
    """
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
    """Sends the request over a socket, since HTTP libraries reject such text. The response is
    ignored."""
    content = b"" if body is None else json.dumps(body).encode()
    all_headers = {
        "Host": "localhost",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {text}" for name, text in all_headers.items()),
    ]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    with socket.create_connection(("127.0.0.1", signet.port), timeout=10) as connection:
        try:
            connection.sendall(head.encode(errors="surrogateescape") + content)
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass


def test_every_log_line_is_one_json_object(logged_run: LoggedRun) -> None:
    lines = logged_run.signet.output_path.read_bytes().removesuffix(b"\n").split(b"\n")

    assert len(lines) > 20, "too few lines were logged"
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_requests_cannot_forge_log_entries(logged_run: LoggedRun) -> None:
    text = logged_run.signet.output_path.read_bytes().decode()
    entries = [json.loads(line) for line in text.removesuffix("\n").split("\n")]

    assert "forged entry" not in {entry.get("message") for entry in entries}
    # `splitlines` also splits at Unicode line breaks and at control characters.
    assert len(text.splitlines()) == len(entries)
    controls = {character for character in text if ord(character) < 0x20 or character == "\x7f"}
    assert controls == {"\n"}


def test_audit_events_store_truncated_values_without_control_characters(
    logged_run: LoggedRun,
) -> None:
    rows = logged_run.signet.database.execute("SELECT user_agent, forwarded FROM auth_event")
    user_agents = {user_agent for user_agent, _ in rows if user_agent is not None}
    forwarded = {chain for _, chain in rows if chain is not None}

    assert any("forged entry" in user_agent for user_agent in user_agents), (
        "no request reached the audit log"
    )
    assert max(map(len, user_agents)) <= MAX_USER_AGENT_LENGTH
    for text in user_agents | forwarded:
        controls = [character for character in text if ord(character) < 0x20]
        assert controls == [], text


# MUST-212, IJ-03: the secrets were sent in successful flows and in failing requests.


def test_no_secret_is_logged(logged_run: LoggedRun) -> None:
    assert logged_run.canaries.found_in(logged_run.signet.output) == []


def test_no_error_response_contains_a_secret(logged_run: LoggedRun) -> None:
    assert len(logged_run.errors) > 25, "too few requests were rejected"
    assert logged_run.canaries.found_in("\n".join(logged_run.errors)) == []


def test_no_secret_is_in_the_command_line(logged_run: LoggedRun) -> None:
    assert logged_run.canaries.found_in(logged_run.arguments) == []


def test_no_secret_is_stored_in_plain_text(logged_run: LoggedRun) -> None:
    tables = logged_run.signet.database.dump()

    assert len(tables["auth_event"]) > 10, "too few rows were stored"
    assert logged_run.canaries.found_in("\n".join(tables["auth_event"])) == []
    all_rows = "\n".join(row for rows in tables.values() for row in rows)
    assert logged_run.canaries.found_in(all_rows) == []

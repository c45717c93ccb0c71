"""Mistakes of operators: wrong keys, files, settings and schemas; and shutdown by SIGTERM."""

import hashlib
import json
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from clients import PASSWORD, SignetClient, Tokens, random_email
from databases import SqliteDatabase, fresh_database
from processes import STOP_SECONDS, ProcessKiller, Signet

FUTURE_MIGRATION = "m29990101_000000_future"


@pytest.fixture
def stopped(signet: Signet) -> Signet:
    """A stopped Signet with an account."""
    signet.start()
    with SignetClient(signet.url) as client:
        Tokens.of(client.sign_up("ada@example.test"), 201)
    assert signet.stop() == 0
    return signet


def test_created_files_are_private(signet: Signet) -> None:
    signet.start()
    with SignetClient(signet.url) as client:
        Tokens.of(client.sign_up(random_email()), 201)

    if isinstance(signet.database, SqliteDatabase):
        names = {path.name for path in signet.database.files}
        assert names == {"signet.db", "signet.db-wal", "signet.db-shm"}
    for path in (signet.master_key_path, *signet.database.files):
        assert mode(path) == 0o600, path


def test_default_start_creates_private_files(
    tmp_path_factory: pytest.TempPathFactory, signet: Signet, kill_after_test: ProcessKiller
) -> None:
    home = tmp_path_factory.mktemp("clone")
    without_settings = kill_after_test(Signet(home, signet.database))
    for name in ("SIGNET_MASTER_KEY_FILE", "SIGNET_DATABASE_URL"):
        del without_settings.settings[name]
    without_settings.master_key_path.parent.rmdir()

    without_settings.start()

    created = [
        path for path in home.rglob("*") if path.is_file() and path != without_settings.output_path
    ]
    # The reserve file is created shortly after the start, so it may be missing.
    assert {path.name for path in created} - {"signet.db-reserve"} == {
        "master.key",
        "signet.db",
        "signet.db-wal",
        "signet.db-shm",
        "signet.db-lock",
        "signet.state",
    }
    for path in created:
        assert mode(path) == 0o600, path


@pytest.mark.parametrize("permissions", [0o644, 0o640, 0o602], ids=oct)
def test_master_key_accessible_to_others_is_refused(stopped: Signet, permissions: int) -> None:
    stopped.master_key_path.chmod(permissions)

    assert_key_refused(stopped)


def test_database_readable_by_others_is_refused(stopped: Signet) -> None:
    if not isinstance(stopped.database, SqliteDatabase):
        pytest.skip("PostgreSQL protects its own files")
    stopped.database.path.chmod(0o644)

    assert_refused(stopped, naming=str(stopped.database.path))


def test_missing_master_key_is_not_replaced(stopped: Signet) -> None:
    """A new master key could not decrypt the signing keys in the database."""
    stopped.master_key_path.unlink()

    assert_key_refused(stopped)
    assert not stopped.master_key_path.exists()


def test_wrong_master_key_is_refused(
    stopped: Signet, tmp_path_factory: pytest.TempPathFactory, kill_after_test: ProcessKiller
) -> None:
    directory = tmp_path_factory.mktemp("other")
    other_database = fresh_database(directory)
    try:
        other_signet = kill_after_test(Signet(directory, other_database)).start()
        stopped.master_key_path.write_bytes(other_signet.master_key_path.read_bytes())
        other_signet.stop()
    finally:
        other_database.drop()

    assert_key_refused(stopped)


@pytest.mark.parametrize("content", ["half", "empty", "text", "binary"])
def test_damaged_master_key_is_refused(stopped: Signet, content: str) -> None:
    whole = stopped.master_key_path.read_bytes()
    damaged = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"-----BEGIN RSA PRIVATE KEY-----\n",
        "binary": bytes(range(256)),
    }
    stopped.master_key_path.write_bytes(damaged[content])

    assert_key_refused(stopped)


def test_directory_instead_of_the_master_key_is_refused(stopped: Signet) -> None:
    stopped.master_key_path.unlink()
    stopped.master_key_path.mkdir(mode=0o700)

    assert_key_refused(stopped)


def test_database_with_a_newer_schema_is_refused(stopped: Signet) -> None:
    stopped.database.execute(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES (?, ?)", FUTURE_MIGRATION, 0
    )

    assert_refused(stopped, naming=FUTURE_MIGRATION)


@pytest.mark.parametrize("fresh", [True, False], ids=["first start", "later start"])
def test_unknown_variable_is_refused(signet: Signet, fresh: bool) -> None:
    if not fresh:
        signet.start()
        signet.stop()

    assert_refused(
        signet, naming="SIGNET_ACCESS_TOKEN_SECOND", settings={"SIGNET_ACCESS_TOKEN_SECOND": "60"}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNET_ACCESS_TOKEN_SECONDS", "soon"),
        ("SIGNET_ACCESS_TOKEN_SECONDS", "0"),
        ("SIGNET_ACCESS_TOKEN_SECONDS", "-1"),
        ("SIGNET_ATTEMPTS_PER_MINUTE", "0"),
        ("SIGNET_CORS_ORIGINS", "*"),
        ("SIGNET_CORS_ORIGINS", "https://example.test/path"),
        ("SIGNET_DATABASE_URL", "mysql://root@localhost/signet"),
        ("SIGNET_DATABASE_URL", "sqlite::memory:"),
        ("SIGNET_ISSUER", "ftp://example.test"),
        ("SIGNET_ISSUER", "http://example.test"),
        ("SIGNET_ISSUER", "https://example.test/?a=b"),
        ("SIGNET_LISTEN", "nowhere"),
        ("SIGNET_LOG_FORMAT", "xml"),
        ("SIGNET_RSA_BITS", "1024"),
        ("SIGNET_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("SIGNET_TRUSTED_PROXIES", "example.test"),
    ],
)
def test_invalid_value_is_refused(signet: Signet, name: str, value: str) -> None:
    assert_refused(signet, naming=name, settings={name: value})


def test_invalid_database_url_is_not_printed(signet: Signet) -> None:
    """The URL may contain a password, even if its scheme is mistyped."""
    url = "postgrse://signet:canary-4f1c@localhost/signet"

    output = assert_refused(
        signet, naming="SIGNET_DATABASE_URL", settings={"SIGNET_DATABASE_URL": url}
    )

    assert "canary-4f1c" not in output


def test_port_in_use_is_refused(signet: Signet) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", signet.port))
        listener.listen()
        code, output = signet.start_expecting_exit()

    assert code != 0
    assert str(signet.port) in output


def test_clean_stop_leaves_the_database_in_one_file(stopped: Signet) -> None:
    """A copy of a stopped service's database file must contain all accounts."""
    if not isinstance(stopped.database, SqliteDatabase):
        pytest.skip("only for SQLite")

    assert stopped.database.files == [stopped.database.path]


def test_sigterm_stops_the_server_despite_an_idle_connection(signet: Signet) -> None:
    signet.start(SIGNET_DRAIN_SECONDS="8")
    with (
        httpx.Client(base_url=signet.url) as idle,
        socket.create_connection(("127.0.0.1", signet.port)) as silent,
    ):
        assert idle.get("/livez").status_code == 200
        silent.sendall(b"GET /livez HTTP/1.1\r\nHost: half-sent\r\n")
        started = time.monotonic()
        code = signet.stop()

    assert code == 0
    assert time.monotonic() - started <= STOP_SECONDS


def test_sigterm_completes_requests_in_flight(signet: Signet) -> None:
    signet.settings["SIGNET_TRUSTED_PROXIES"] = "127.0.0.1/32"
    signet.start()
    connections = [accepted_connection(signet) for _ in range(16)]
    for number, connection in enumerate(connections):
        connection.sendall(sign_up_request(number))
    time.sleep(0.05)

    with ThreadPoolExecutor(len(connections)) as pool:
        answers = pool.map(read_to_the_end, connections)
        code = signet.stop()

    assert code == 0
    emails = []
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201"), answer
        emails.append(json.loads(body)["email"])
    signet.start()
    with SignetClient(signet.url, behind_proxy=True) as client:
        for email in emails:
            Tokens.of(client.log_in(email), 200)


def accepted_connection(signet: Signet) -> socket.socket:
    """A connection that the server has accepted, as a response on it proves."""
    connection = socket.create_connection(("127.0.0.1", signet.port), timeout=STOP_SECONDS)
    connection.sendall(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    return connection


def sign_up_request(number: int) -> bytes:
    body = json.dumps({"email": random_email(), "password": PASSWORD}).encode()
    head = (
        "POST /api/auth/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: 10.9.0.{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_to_the_end(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def assert_key_refused(signet: Signet) -> None:
    assert_refused(signet, (str(signet.master_key_path), "SIGNET_MASTER_KEY_FILE"))


def assert_refused(
    signet: Signet, naming: str | tuple[str, ...], settings: dict[str, str] | None = None
) -> str:
    """Asserts that the start fails with an error that names the cause, and changes nothing."""
    names = (naming,) if isinstance(naming, str) else naming
    before = state(signet)

    code, output = signet.start_expecting_exit(**(settings or {}))

    # The exit code must not be that of success (0), a panic (101) or a signal.
    assert 0 < code < 101, f"exit code {code}:\n{output}"
    assert any(name in output for name in names), output
    assert "panicked" not in output
    assert state(signet) == before
    return output


def state(signet: Signet) -> dict[str, object]:
    """All rows, and all files that the service could have changed."""
    found: dict[str, object] = {}
    if not isinstance(signet.database, SqliteDatabase) or signet.database.path.exists():
        # The rows are read before the files are hashed, because reading them checkpoints the
        # write-ahead log into the database file.
        found |= signet.database.dump()
    home = signet.master_key_path.parent.parent
    for path in sorted(home.rglob("*")):
        # Opening an SQLite file creates these two, and closing it removes them.
        if path == signet.output_path or path.suffix in (".db-wal", ".db-shm"):
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        found[str(path)] = (mode(path), content)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)

"""Helpers of the fault tests.

A PostgreSQL that can be stopped and frozen, a proxy to it that fails on demand, instances of
Signet, clients, and the report of figures and checks.
"""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

import httpx  # noqa: E402
import psycopg  # noqa: E402
from processes import SIGNET_BIN, Signet, clean_environment, free_port  # noqa: E402

# Rate limits are not under test.
HIGH_LIMITS = {
    "SIGNET_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_REFRESHES_PER_MINUTE": "1000000",
    "SIGNET_REQUESTS_PER_MINUTE": "1000000",
    # Overload is not under test either. Hashing is slow on a busy machine.
    "SIGNET_HASH_BACKLOG_SECONDS": "60",
}
PASSWORD = "Correct-horse-7"
DOCUMENTS = ("/.well-known/jwks.json", "/.well-known/openid-configuration", "/livez")


# --- the database -------------------------------------------------------------------------------


class Cluster:
    """A PostgreSQL server with its own socket and TCP port.

    Committed data survives when its processes are killed.
    """

    def __init__(self) -> None:
        find = [str(REPOSITORY / "scripts/with-postgres"), "--find"]
        self._bin = Path(subprocess.check_output(find, text=True).strip())
        self.directory = Path(tempfile.mkdtemp(prefix="signet-faults."))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user: str | None = None
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.directory, self._user)
        init = [str(self._bin / "initdb"), "-D", str(self.directory / "data"), "--no-sync"]
        init += ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL, **self._as_user())

    def _as_user(self) -> dict[str, Any]:
        environment = {**clean_environment(), "LC_ALL": "C"}
        # Runs in /, since the server's user may not have access to the current directory.
        options: dict[str, Any] = {"cwd": "/", "env": environment, "stdin": subprocess.DEVNULL}
        if self._user is not None:
            group = pwd.getpwnam(self._user).pw_gid
            options |= {"user": self._user, "group": group, "extra_groups": []}
        return options

    def standby(self, port: int) -> "Cluster":
        """A standby that replicates this server through a proxy's port. It is not started.

        Its name in `synchronous_standby_names` and `pg_stat_replication` is `standby`.
        """
        copy = Cluster.__new__(Cluster)
        copy._bin, copy._user, copy._process = self._bin, self._user, None
        copy.directory = Path(tempfile.mkdtemp(prefix="signet-faults."))
        copy.port = free_port()
        if copy._user is not None:
            shutil.chown(copy.directory, copy._user)
        data = str(copy.directory / "data")
        source = f"host=127.0.0.1 port={port} user=postgres application_name=standby"
        subprocess.run(
            [str(self._bin / "pg_basebackup"), "-D", data, "-d", source]
            + ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"],
            check=True,
            **copy._as_user(),
        )
        return copy

    def start(self) -> "Cluster":
        command = [str(self._bin / "postgres"), "-D", str(self.directory / "data")]
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            # Commits reach the kernel before they are acknowledged. A power failure could lose
            # them, but a kill of the server cannot.
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._as_user()
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self.directory / "log").read_text()
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("SELECT 1", database="postgres")
                return self
            time.sleep(0.02)
        raise AssertionError("PostgreSQL was not ready after a minute")

    @property
    def socket_url(self) -> str:
        """The URL for the test's own connections, without a proxy."""
        return f"postgres://postgres@localhost:{self.port}/{{}}?host={self.directory}"

    def url(self, database: str, port: int | None = None) -> str:
        """The URL for Signet: over TCP, directly or through a proxy's port."""
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    def connect(self, database: str = "signet", **options: Any) -> "psycopg.Connection[Any]":
        url = self.socket_url.format(database)
        return psycopg.connect(url, autocommit=True, connect_timeout=5, **options)

    def execute(self, statement: str, *values: object, database: str = "signet") -> list[Any]:
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def create(self, database: str = "signet") -> "Cluster":
        self.execute(f'CREATE DATABASE "{database}"', database="postgres")
        return self

    def dump(self, database: str = "signet") -> dict[str, list[str]]:
        """The rows of each table, and the type of each column."""
        found = {
            "": [
                str(row)
                for row in self.execute(
                    "SELECT table_name, column_name, data_type FROM information_schema.columns"
                    " WHERE table_schema = 'public' ORDER BY 1, 2",
                    database=database,
                )
            ]
        }
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for (name,) in self.execute(tables, database=database):
            rows = self.execute(f'SELECT * FROM "{name}"', database=database)
            found[name] = sorted(map(str, rows))
        return found

    def stop(self, how: str) -> None:
        """Stops the server.

        `fast` rolls back transactions and closes connections; `immediate` does neither.
        """
        assert self._process is not None
        self._process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
        self._process.wait(60)
        self._process = None

    def freeze(self) -> None:
        """Suspends the server and its child processes, which are in sessions of their own."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        for pid in children(self._process.pid):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        for pid in [*children(self._process.pid), self._process.pid]:
            os.kill(pid, signal.SIGCONT)

    def connections(self) -> int:
        """The number of Signet's connections to this server."""
        counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet'"
        return int(self.execute(counted, database="postgres")[0][0])

    def remove(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.thaw()
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(entry.name))
    return found


class Link:
    """A TCP proxy in front of PostgreSQL that fails on demand.

    | mode | existing connections | new connections |
    |---|---|---|
    | `forward` | forwarded, `delay` seconds later | forwarded |
    | `silent` | not forwarded any more, as after a firewall lost its state | never answered |
    | `refuse` | reset | refused |

    If `lose_response_with` is set, the next response that contains these bytes is lost, and the
    mode becomes `silent`.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = free_port()
        self.delay = 0.0
        self.lose_response_with: bytes | None = None
        self._mode = "forward"
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._abandoned: list[object] = []
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._listen())

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

    def forward_to(self, port: int) -> None:
        """Forwards new connections to this port and resets existing ones."""

        async def lead() -> None:
            self._target = port
            for pair in list(self._pairs):
                for writer in pair:
                    reset(writer)

        self._run(lead())

    def set(self, mode: str) -> None:
        self._run(self._set(mode))

    async def _set(self, mode: str) -> None:
        if mode == "refuse":
            assert self._server is not None
            self._server.close()
            self._server = None
            for pair in list(self._pairs):
                for writer in pair:
                    reset(writer)
        if mode == "silent":
            # The connections stay open, so neither side notices.
            self._abandoned.extend(self._pairs)
            self._pairs.clear()
        if mode == "forward" and self._server is None:
            await self._listen()
        self._mode = mode

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._mode != "forward":
            self._abandoned.append((reader, writer))
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            reset(writer)
            return
        pair = (writer, there[1])
        self._pairs.add(pair)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(reader, there[1], pair), self._pump(there[0], writer, pair)
            )

    async def _pump(self, reader: Any, writer: Any, pair: Any) -> None:
        try:
            while data := await reader.read(65_536):
                if self.delay and writer is pair[1]:
                    await asyncio.sleep(self.delay)
                if (
                    self.lose_response_with
                    and writer is pair[0]
                    and self.lose_response_with in data
                ):
                    self.lose_response_with = None
                    await self._set("silent")
                if pair not in self._pairs:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        if pair in self._pairs:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    def remove(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    import socket

    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- Signet -------------------------------------------------------------------------------------


class _Url:
    """The part of an e2e `Database` that `Signet` uses."""

    def __init__(self, url: str) -> None:
        self.url = url


class Workspace:
    """A temporary directory and the processes of one test. Both are removed when the block ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> "Workspace":
        self.directory = Path(tempfile.mkdtemp(prefix="signet-faults."))
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is not None:
            for log in sorted(self.directory.glob("*/signet.log")):
                tail = log.read_text(errors="replace").splitlines()[-15:]
                print(f"--- {log}", *tail, sep="\n", file=sys.stderr)
        self._stack.close()

    def cluster(self) -> Cluster:
        cluster = Cluster()
        self._stack.callback(cluster.remove)
        return cluster.start().create()

    def standby(self, cluster: Cluster, port: int) -> Cluster:
        standby = cluster.standby(port)
        self._stack.callback(standby.remove)
        return standby.start()

    def link(self, cluster: Cluster) -> Link:
        link = Link(cluster.port)
        self._stack.callback(link.remove)
        return link

    def signet(self, url: str, settings_of: Signet | None = None, **settings: str) -> Signet:
        """An instance that is not started.

        With `settings_of`, it has the master key, issuer and settings of that instance.
        """
        home = self.directory / secrets.token_hex(4)
        home.mkdir()
        shared = {}
        if settings_of is not None:
            not_shared = ("SIGNET_DATABASE_URL", "SIGNET_LISTEN")
            shared = {
                name: value
                for name, value in settings_of.settings.items()
                if name not in not_shared
            }
        signet = Signet(home, _Url(url), **{**HIGH_LIMITS, **shared, **settings})  # type: ignore[arg-type]
        self._stack.callback(resume_and_kill, signet)
        return signet


def resume_and_kill(signet: Signet) -> None:
    with contextlib.suppress(AssertionError, ProcessLookupError):
        os.kill(signet.pid, signal.SIGCONT)
    signet.kill()


def is_running(signet: Signet) -> bool:
    try:
        fields = Path(f"/proc/{signet.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"


def command(signet: Signet, *arguments: str, seconds: float = 30) -> "subprocess.Popen[str]":
    """Starts `signet ARGUMENTS` with the settings of an instance."""
    return subprocess.Popen(
        [str(SIGNET_BIN), *arguments],
        cwd=signet.output_path.parent,
        env={**clean_environment(), **signet.settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# --- clients ------------------------------------------------------------------------------------


class Client:
    """A front end with a session. It presents a refresh token again until it has the successor."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self.email = f"{secrets.token_hex(8)}@example.test"
        self.body: dict[str, Any] = {}

    def sign_up(self) -> "Client":
        answer = self.post("/api/auth/signup", email=self.email, password=PASSWORD)
        assert answer.status_code == 201, answer.text
        self.body = answer.json()
        return self

    def log_in(self) -> httpx.Response:
        return self.post("/api/auth/login", email=self.email, password=PASSWORD)

    def refresh(self) -> httpx.Response:
        answer = self.post("/api/auth/refresh", refresh_token=self.body["refresh_token"])
        if answer.status_code == 200:
            self.body = answer.json()
        return answer

    def me(self) -> httpx.Response:
        bearer = f"Bearer {self.body['access_token']}"
        return self.http.get("/api/auth/me", headers={"Authorization": bearer})

    def post(self, path: str, **body: str) -> httpx.Response:
        return self.http.post(path, json=body)


class Loop:
    """Calls each function repeatedly in its own thread until the block ends. Records errors."""

    def __init__(self, *work: Callable[[], None], pause: float = 0.0) -> None:
        self._stop = threading.Event()
        self.errors: list[str] = []
        self._pause = pause
        self._threads = [threading.Thread(target=self._run, args=[it], daemon=True) for it in work]

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except Exception as error:  # noqa: BLE001
                self.errors.append(repr(error))
                time.sleep(0.05)
            self._stop.wait(self._pause)

    def __enter__(self) -> "Loop":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def wait_for(condition: Callable[[], object], seconds: float, description: str) -> float:
    """Waits until a condition is true. Returns the seconds that it took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        with contextlib.suppress(httpx.TransportError, psycopg.Error):
            if condition():
                return time.monotonic() - started
        time.sleep(0.02)
    raise AssertionError(f"{description}: not within {seconds} s")


# --- figures ------------------------------------------------------------------------------------


class Report:
    """Prints figures and checks immediately. `end` exits with 1 if a check failed."""

    def __init__(self, title: str) -> None:
        self._failures: list[str] = []
        print(f"== {title}", flush=True)

    def figure(self, name: str, value: object) -> None:
        print(f"   {name}: {value}", flush=True)

    def check(self, condition: object, requirement: str) -> None:
        print(f"   {'ok  ' if condition else 'FAIL'} {requirement}", flush=True)
        if not condition:
            self._failures.append(requirement)

    def end(self) -> None:
        if self._failures:
            print(f"== {len(self._failures)} checks failed", flush=True)
        sys.exit(1 if self._failures else 0)


def percentile(values: list[float], share: float) -> float:
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def milliseconds(values: list[float]) -> str:
    if not values:
        return "none"
    p50, p99 = statistics.median(values), percentile(values, 0.99)
    return f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, max {max(values) * 1e3:.0f} ms"


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raises an exception if the block takes longer than this."""

    def raise_timeout(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    signal.signal(signal.SIGALRM, raise_timeout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(seconds)
    yield
    signal.alarm(0)


__all__ = [name for name in dir() if not name.startswith("_")] + ["Counter"]

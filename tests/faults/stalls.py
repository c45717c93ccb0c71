"""Hanging commits and suspended processes, while clients refresh (W2, W8).

- *A stall of 3 s* with 1,000 clients: no request may get a 503. On SQLite a file system is frozen.
  That needs root and a separate ext4 on a loop device; otherwise a preloaded library delays syncs.
  On PostgreSQL, with one and with two instances, commits wait for a standby that does not exist.
- *A suspended synchronous standby* for three times the retry window: no session may end, no
  instance may exit, and the key set must be served.
- *SIGSTOP for 60 s* with 100 clients, on SQLite and on PostgreSQL with a second running instance:
  no session may end for token reuse.

After each fault, the last acknowledged refresh token of every session must work, so that no
acknowledged write is lost. `--only stall|standby|frozen` runs one of the tests.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

from harness import (
    PASSWORD,
    REPOSITORY,
    Counter,
    Loop,
    Report,
    Workspace,
    httpx,
    is_running,
    milliseconds,
    secrets,
    time_limit,
    wait_for,
)

WINDOW = 10
STALL = 3
SUSPENSION = 60
SETTINGS = {
    "SIGNET_REFRESH_RETRY_SECONDS": str(WINDOW),
    "SIGNET_TRUSTED_PROXIES": "127.0.0.1",
    "SIGNET_LOG": "warn",
}
REUSES = "SELECT count(*) FROM auth_event WHERE type = 'token_reuse'"


class Session:
    """A client that refreshes at all instances in turn, and retries unless the status was 200."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.token = None
        self.connections = {}

    async def send_request(self, port, path, body, wait):
        """Sends a request. Returns status and body. After a timeout, the connection is closed."""
        content = json.dumps(body)
        client = f"10.{self.number >> 16 & 255}.{self.number >> 8 & 255}.{self.number & 255}"
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(wait):
                if port not in self.connections:
                    self.connections[port] = await asyncio.open_connection("127.0.0.1", port)
                reader, writer = self.connections[port]
                writer.write((head + content).encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].split()[0])
                return int(head[9:12]), json.loads(await reader.readexactly(length) or "null")
        except (TimeoutError, OSError, EOFError):
            if port in self.connections:
                self.connections.pop(port)[1].transport.abort()
            raise

    async def sign_up(self, port):
        body = {"email": f"{secrets.token_hex(8)}@example.test", "password": PASSWORD}
        status, body = await self.send_request(port, "/api/auth/signup", body, 60)
        assert status == 201, (status, body)
        self.token = body["refresh_token"]

    async def refresh(self, port, wait):
        load, began = self.load, time.monotonic()
        try:
            status, body = await self.send_request(
                port, "/api/auth/refresh", {"refresh_token": self.token}, wait
            )
        except (TimeoutError, OSError, EOFError) as error:
            status, body = type(error).__name__, None
        load.answers[status] += 1
        load.took.append(time.monotonic() - began)
        if status == 200:
            self.token = body["refresh_token"]
        elif isinstance(status, int) and status != 503:
            load.refused.append((self.number, status, body))
        return status


class SessionLoad:
    """Sessions that refresh in the event loop of a separate thread."""

    def __init__(self, ports, size, *, pause, wait):
        self.ports, self.pause, self.wait = ports, pause, wait
        self.answers, self.took, self.refused = Counter(), [], []
        self.sessions = [Session(self, number) for number in range(size)]
        self._stopped = False
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._sign_up())

    async def _sign_up(self):
        remaining = list(self.sessions)

        async def work():
            while remaining:
                await remaining.pop().sign_up(self.ports[0])

        await asyncio.gather(*(work() for _ in range(16)))

    async def _refresh_until_stopped(self, session):
        turn = session.number
        await asyncio.sleep(self.pause * session.number / len(self.sessions))
        while not self._stopped:
            turn += 1
            await session.refresh(self.ports[turn % len(self.ports)], self.wait)
            await asyncio.sleep(self.pause)

    async def _run(self):
        await asyncio.gather(*map(self._refresh_until_stopped, self.sessions))

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped = True
        self._thread.join()

    def last_tokens(self):
        """Refreshes each session with its last acknowledged token. Returns the statuses."""
        statuses = Counter()

        async def work(remaining):
            while remaining:
                statuses[await remaining.pop().refresh(self.ports[0], 30)] += 1

        async def refresh_all():
            remaining = list(self.sessions)
            await asyncio.gather(*(work(remaining) for _ in range(16)))

        self._loop.run_until_complete(refresh_all())
        return statuses


def report_results(report, load, instances, reuses):
    size = len(load.sessions)
    report.figure("refreshes", f"{dict(load.answers)}, {milliseconds(load.took)}")
    report.check(not load.refused, f"no request is refused {load.refused[:2]}")
    report.check(reuses() == 0, f"sessions ended for reuse: {reuses()}")
    report.check(all(map(is_running, instances)), "all processes are running")
    last = load.last_tokens()
    report.check(reuses() == 0, f"sessions ended for reuse afterwards: {reuses()}")
    report.check(last == {200: size}, f"each last acknowledged token works {dict(last)}")


# --- a stall ------------------------------------------------------------------------------------


@contextmanager
def file_system(workspace):
    """A directory whose writes can be blocked: its path, settings of Signet, and the function that
    blocks writes for some seconds."""
    if os.getuid() != 0:
        library, control = workspace.directory / "disk_faults.so", workspace.directory / "faults"
        source = REPOSITORY / "tests/e2e/disk_faults.c"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)

        def block_writes(seconds):
            control.write_text(f"sync hang:{seconds * 1_000} 0 1\n")
            time.sleep(seconds)

        yield (
            workspace.directory,
            {"LD_PRELOAD": str(library), "DISK_FAULTS": str(control)},
            block_writes,
        )
        return
    image, folder = workspace.directory / "disk.img", workspace.directory / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)

    def freeze(seconds):
        # The process that unfreezes is started before the freeze.
        thaw = f"sleep {seconds}; fsfreeze --unfreeze {folder}"
        with subprocess.Popen(["sh", "-c", thaw]):
            subprocess.run(["fsfreeze", "--freeze", str(folder)], check=True)

    try:
        yield folder, {}, freeze
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def check_stall(report, load, instances, block_writes, reuses):
    with load:
        time.sleep(4)
        before = Counter(load.answers)
        block_writes(STALL)
        time.sleep(6)
    report.figure("before the fault", dict(before))
    report.check(set(load.answers) == {200}, "every answer is a 200")
    report_results(report, load, instances, reuses)


def run_stalls(report, clients):
    print(f"-- a stall of {STALL} s under {clients} clients, SQLite", flush=True)
    with Workspace() as workspace, file_system(workspace) as (folder, settings, block_writes):
        file = folder / "signet.db"
        signet = workspace.signet(f"sqlite:{file}", **SETTINGS, **settings).start()
        load = SessionLoad([signet.port], clients, pause=1, wait=30)
        check_stall(report, load, [signet], block_writes, lambda: reuses_in(file))
        signet.stop()
    for count in (1, 2):
        print(
            f"-- a stall of {STALL} s under {clients} clients, PostgreSQL, instances: {count}",
            flush=True,
        )
        with Workspace() as workspace:
            cluster = workspace.cluster()
            instances = start(workspace, cluster, count)
            load = SessionLoad([it.port for it in instances], clients, pause=1, wait=30)

            def block_writes(seconds, cluster=cluster):
                wait_for_standbys(cluster, "nobody")
                time.sleep(seconds)
                wait_for_standbys(cluster, "")

            check_stall(
                report, load, instances, block_writes, lambda it=cluster: it.execute(REUSES)[0][0]
            )


def start(workspace, cluster, count):
    first = workspace.signet(cluster.url("signet"), **SETTINGS).start()
    others = [
        workspace.signet(cluster.url("signet"), settings_of=first).start() for _ in range(count - 1)
    ]
    return [first, *others]


def wait_for_standbys(cluster, names):
    """Makes commits wait for the standbys with these names."""
    options = {"options": "-c synchronous_commit=off"}
    with cluster.connect("postgres", **options) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")


def reuses_in(file):
    found = subprocess.check_output(["sqlite3", "-readonly", str(file), REUSES], text=True)
    return int(found)


# --- a standby ----------------------------------------------------------------------------------


def standby_suspended(report):
    seconds = 3 * WINDOW
    print(f"-- a synchronous standby is suspended for {seconds} s, two instances", flush=True)
    with Workspace() as workspace:
        cluster = workspace.cluster()
        standby = workspace.standby(cluster, cluster.port)
        wait_for_standbys(cluster, "standby")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: cluster.execute(state) == [("sync",)], 20, "the standby is synchronous")
        instances = start(workspace, cluster, 2)
        load = SessionLoad([it.port for it in instances], 100, pause=0.1, wait=2)
        sets, ready = Counter(), Counter()

        def poll_endpoints():
            for instance in instances:
                answer = httpx.get(f"{instance.url}/.well-known/jwks.json", timeout=5)
                sets[answer.status_code] += 1
                ready[httpx.get(f"{instance.url}/readyz", timeout=5).status_code] += 1

        with load:
            time.sleep(2)
            standby.freeze()
            with Loop(poll_endpoints, pause=0.2) as polling:
                time.sleep(seconds)
            standby.thaw()
            time.sleep(WINDOW)
        report.figure("the key set, and /readyz, meanwhile", f"{dict(sets)}, {dict(ready)}")
        report.check(set(sets) == {200} and not polling.errors, "the key set is served")
        unanswered = sum(n for status, n in load.answers.items() if status != 200)
        report.check(unanswered > 0, "clients had to retry")
        report_results(report, load, instances, lambda: cluster.execute(REUSES)[0][0])


# --- a process ----------------------------------------------------------------------------------


def process_suspended(report):
    with Workspace() as workspace:
        file = workspace.directory / "signet.db"
        signet = workspace.signet(f"sqlite:{file}", **SETTINGS).start()
        suspend_process(report, "SQLite", [signet], lambda: reuses_in(file))
        signet.stop()
    with Workspace() as workspace:
        cluster = workspace.cluster()
        instances = start(workspace, cluster, 2)
        reuses = lambda: cluster.execute(REUSES)[0][0]  # noqa: E731
        suspend_process(report, "PostgreSQL, one of two instances", instances, reuses)


def suspend_process(report, what, instances, reuses):
    print(f"-- SIGSTOP for {SUSPENSION} s under 100 clients, {what}", flush=True)
    load = SessionLoad([it.port for it in instances], 100, pause=0.1, wait=2)
    with load:
        time.sleep(2)
        os.kill(instances[0].pid, signal.SIGSTOP)
        time.sleep(SUSPENSION)
        os.kill(instances[0].pid, signal.SIGCONT)
        time.sleep(WINDOW)
    report.check(load.answers["TimeoutError"] > 0, "clients had to retry")
    report_results(report, load, instances, reuses)


def main(report, arguments):
    if arguments.only in (None, "stall"):
        run_stalls(report, arguments.clients)
    if arguments.only in (None, "standby"):
        standby_suspended(report)
    if arguments.only in (None, "frozen"):
        process_suspended(report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["stall", "standby", "frozen"])
    parser.add_argument(
        "--clients", type=int, default=1_000, help="number of clients during the stall"
    )
    report = Report("stalls: hanging commits, suspended processes")
    with time_limit(900):
        main(report, parser.parse_args())
    report.end()

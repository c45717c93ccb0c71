"""W2, W8: commits that hang, and processes that stand still, under clients that refresh.

- *A stall of 3 s* under 1,000 clients: no request gets a 503. On SQLite the file system is frozen
  (needs root: a separate ext4 on a loop device; otherwise a preloaded library delays syncs); on
  PostgreSQL, with one and with two instances, commits wait for a standby that does not exist.
- *A frozen synchronous standby* for three times the retry window: no session ends, no instance
  exits, and the key set is served.
- *SIGSTOP for 60 s* under 100 clients, on SQLite and with a second instance that keeps running: no
  session ends for reuse.

After each, every session's last acknowledged refresh token works: what was acknowledged is stored.
`--only stall|standby|frozen` runs one of them.
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
    Place,
    Report,
    at_most,
    httpx,
    is_alive,
    milliseconds,
    secrets,
    wait_for,
)

WINDOW = 10
STALL = 3
STAND_STILL = 60
SETTINGS = {
    "SIGNET_REFRESH_RETRY_SECONDS": str(WINDOW),
    "SIGNET_TRUSTED_PROXIES": "127.0.0.1",
    "SIGNET_LOG": "warn",
}
REUSES = "SELECT count(*) FROM auth_event WHERE type = 'token_reuse'"


class Session:
    """A client that refreshes at all instances in turn, and retries unless the status was 200."""

    def __init__(self, crowd, number):
        self.crowd, self.number = crowd, number
        self.token = None
        self.connections = {}

    async def ask(self, port, path, body, wait):
        """The status and the body. After the timeout, the connection is abandoned."""
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
        status, body = await self.ask(port, "/api/auth/signup", body, 60)
        assert status == 201, (status, body)
        self.token = body["refresh_token"]

    async def refresh(self, port, wait):
        crowd, began = self.crowd, time.monotonic()
        try:
            status, body = await self.ask(
                port, "/api/auth/refresh", {"refresh_token": self.token}, wait)
        except (TimeoutError, OSError, EOFError) as error:
            status, body = type(error).__name__, None
        crowd.answers[status] += 1
        crowd.took.append(time.monotonic() - began)
        if status == 200:
            self.token = body["refresh_token"]
        elif isinstance(status, int) and status != 503:
            crowd.refused.append((self.number, status, body))
        return status


class Crowd:
    """Sessions in a separate event loop."""

    def __init__(self, ports, size, *, pause, wait):
        self.ports, self.pause, self.wait = ports, pause, wait
        self.answers, self.took, self.refused = Counter(), [], []
        self.sessions = [Session(self, number) for number in range(size)]
        self._over = False
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._sign_up())

    async def _sign_up(self):
        left = list(self.sessions)

        async def work():
            while left:
                await left.pop().sign_up(self.ports[0])

        await asyncio.gather(*(work() for _ in range(16)))

    async def _refresh_until_stopped(self, session):
        turn = session.number
        await asyncio.sleep(self.pause * session.number / len(self.sessions))
        while not self._over:
            turn += 1
            await session.refresh(self.ports[turn % len(self.ports)], self.wait)
            await asyncio.sleep(self.pause)

    async def _run(self):
        await asyncio.gather(*map(self._refresh_until_stopped, self.sessions))

    def __enter__(self):
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over = True
        self._thread.join()

    def last_tokens(self):
        """The response to each session's last acknowledged token."""
        statuses = Counter()

        async def work(left):
            while left:
                statuses[await left.pop().refresh(self.ports[0], 30)] += 1

        async def refresh_all():
            left = list(self.sessions)
            await asyncio.gather(*(work(left) for _ in range(16)))

        self._loop.run_until_complete(refresh_all())
        return statuses


def report_results(report, crowd, instances, reuses):
    size = len(crowd.sessions)
    report.figure("refreshes", f"{dict(crowd.answers)}, {milliseconds(crowd.took)}")
    report.holds(not crowd.refused, f"no request is refused {crowd.refused[:2]}")
    report.holds(reuses() == 0, f"sessions ended for reuse: {reuses()}")
    report.holds(all(map(is_alive, instances)), "all processes are running")
    last = crowd.last_tokens()
    report.holds(reuses() == 0, f"nor afterwards: {reuses()}")
    report.holds(last == {200: size}, f"each last acknowledged token works {dict(last)}")


# --- a stall ------------------------------------------------------------------------------------


@contextmanager
def file_system(place):
    """A directory whose writes can be blocked for some seconds: (directory, settings, method)."""
    if os.getuid() != 0:
        library, control = place.directory / "disk_faults.so", place.directory / "faults"
        source = REPOSITORY / "tests/e2e/disk_faults.c"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)

        def hold(seconds):
            control.write_text(f"sync hang:{seconds * 1_000} 0 1\n")
            time.sleep(seconds)

        yield place.directory, {"LD_PRELOAD": str(library), "DISK_FAULTS": str(control)}, hold
        return
    image, folder = place.directory / "disk.img", place.directory / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)

    def freeze(seconds):
        # The unfreeze is started before the freeze.
        thaw = f"sleep {seconds}; fsfreeze --unfreeze {folder}"
        with subprocess.Popen(["sh", "-c", thaw]):
            subprocess.run(["fsfreeze", "--freeze", str(folder)], check=True)

    try:
        yield folder, {}, freeze
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def stall(report, crowd, instances, hold, reuses):
    with crowd:
        time.sleep(4)
        before = Counter(crowd.answers)
        hold(STALL)
        time.sleep(6)
    report.figure("before the fault", dict(before))
    report.holds(set(crowd.answers) == {200}, "every answer is a 200")
    report_results(report, crowd, instances, reuses)


def stalls(report, clients):
    print(f"-- a stall of {STALL} s under {clients} clients, SQLite", flush=True)
    with Place() as place, file_system(place) as (folder, settings, hold):
        file = folder / "signet.db"
        signet = place.signet(f"sqlite:{file}", **SETTINGS, **settings).start()
        crowd = Crowd([signet.port], clients, pause=1, wait=30)
        stall(report, crowd, [signet], hold, lambda: reuses_in(file))
        signet.stop()
    for count in (1, 2):
        print(f"-- the same, PostgreSQL, instances: {count}", flush=True)
        with Place() as place:
            cluster = place.cluster()
            instances = start(place, cluster, count)
            crowd = Crowd([it.port for it in instances], clients, pause=1, wait=30)

            def hold(seconds, cluster=cluster):
                wait_for_standbys(cluster, "nobody")
                time.sleep(seconds)
                wait_for_standbys(cluster, "")

            stall(report, crowd, instances, hold, lambda it=cluster: it.execute(REUSES)[0][0])


def start(place, cluster, count):
    first = place.signet(cluster.url("signet"), **SETTINGS).start()
    others = [place.signet(cluster.url("signet"), like=first).start() for _ in range(count - 1)]
    return [first, *others]


def wait_for_standbys(cluster, names):
    """Makes commits wait for these standbys."""
    options = {"options": "-c synchronous_commit=off"}
    with cluster.connect("postgres", **options) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")


def reuses_in(file):
    found = subprocess.check_output(["sqlite3", "-readonly", str(file), REUSES], text=True)
    return int(found)


# --- a standby ----------------------------------------------------------------------------------


def standby_stands_still(report):
    seconds = 3 * WINDOW
    print(f"-- a synchronous standby stands still for {seconds} s, two instances", flush=True)
    with Place() as place:
        cluster = place.cluster()
        standby = place.standby(cluster, cluster.port)
        wait_for_standbys(cluster, "standby")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: cluster.execute(state) == [("sync",)], 20, "it is synchronous")
        instances = start(place, cluster, 2)
        crowd = Crowd([it.port for it in instances], 100, pause=0.1, wait=2)
        sets, ready = Counter(), Counter()

        def poll_endpoints():
            for instance in instances:
                answer = httpx.get(f"{instance.url}/.well-known/jwks.json", timeout=5)
                sets[answer.status_code] += 1
                ready[httpx.get(f"{instance.url}/readyz", timeout=5).status_code] += 1

        with crowd:
            time.sleep(2)
            standby.freeze()
            with Loop(poll_endpoints, pause=0.2) as looking:
                time.sleep(seconds)
            standby.thaw()
            time.sleep(WINDOW)
        report.figure("the key set, and /readyz, meanwhile", f"{dict(sets)}, {dict(ready)}")
        report.holds(set(sets) == {200} and not looking.errors, "the key set is served")
        unanswered = sum(n for status, n in crowd.answers.items() if status != 200)
        report.holds(unanswered > 0, "clients had to retry")
        report_results(report, crowd, instances, lambda: cluster.execute(REUSES)[0][0])


# --- a process ----------------------------------------------------------------------------------


def frozen(report):
    with Place() as place:
        file = place.directory / "signet.db"
        signet = place.signet(f"sqlite:{file}", **SETTINGS).start()
        freeze_process(report, "SQLite", [signet], lambda: reuses_in(file))
        signet.stop()
    with Place() as place:
        cluster = place.cluster()
        instances = start(place, cluster, 2)
        reuses = lambda: cluster.execute(REUSES)[0][0]  # noqa: E731
        freeze_process(report, "PostgreSQL, one of two instances", instances, reuses)


def freeze_process(report, what, instances, reuses):
    print(f"-- SIGSTOP for {STAND_STILL} s under 100 clients, {what}", flush=True)
    crowd = Crowd([it.port for it in instances], 100, pause=0.1, wait=2)
    with crowd:
        time.sleep(2)
        os.kill(instances[0].pid, signal.SIGSTOP)
        time.sleep(STAND_STILL)
        os.kill(instances[0].pid, signal.SIGCONT)
        time.sleep(WINDOW)
    report.holds(crowd.answers["TimeoutError"] > 0, "clients had to retry")
    report_results(report, crowd, instances, reuses)


def main(report, arguments):
    if arguments.only in (None, "stall"):
        stalls(report, arguments.clients)
    if arguments.only in (None, "standby"):
        standby_stands_still(report)
    if arguments.only in (None, "frozen"):
        frozen(report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["stall", "standby", "frozen"])
    parser.add_argument("--clients", type=int, default=1_000, help="of the stall")
    report = Report("stalls: commits that hang, processes that stand still")
    with at_most(900):
        main(report, parser.parse_args())
    report.end()

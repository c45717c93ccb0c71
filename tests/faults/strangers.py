"""Attackers start logins and never finish them: in a first round from client addresses in one IPv6
/48, in a second round from 100,000 client addresses (W4).

Signet must not store these requests: no row is pending, and the database does not grow. Meanwhile
other clients refresh and log in on the pages. Their response times are compared with those on the
idle server, directly before and after each round.

`--requests` is the number of requests in each of the two rounds. `--rate` is their number per
second; in the first round it is four times as high, and most requests are rejected. `--database`
selects the database. The rate must not use the machine's whole capacity: a debug build on two cores
serves at most some 200 requests a second. For 1,000,000 requests, use a release build and
`--requests 1000000 --rate 1000`.
"""

import argparse
import asyncio
import re
import sqlite3
import time
from pathlib import Path

from harness import (
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    command,
    httpx,
    is_running,
    milliseconds,
    percentile,
    time_limit,
)

IDLE_SECONDS = 15
CONNECTIONS = 32
CALLBACK = "https://rp.example/cb"
REQUEST = {
    "response_type": "code",
    "client_id": "web",
    "redirect_uri": CALLBACK,
    "scope": "openid",
    "state": "s" * 4096,
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
PATH = f"/oauth2/authorize?{httpx.QueryParams(REQUEST)}"
PASSWORD = "Correct-horse-7"
# The requests of a round exceed this limit, those of the other clients do not.
PER_MINUTE = 120
LIMITS = {
    "SIGNET_REFRESHES_PER_MINUTE": str(PER_MINUTE),
    "SIGNET_TRUSTED_PROXIES": "127.0.0.1",
}


def one_ipv6_block(number):
    """A client address: 65,536 of them are in one /48."""
    return f"2001:db8:7:{number % 65_536:x}::1"


def many_addresses(number):
    """A client address: 50,000 of them are IPv4, and 50,000 are each in an IPv6 /48 of its own."""
    number %= 100_000
    low = f"{number >> 8 & 255}.{number & 255}"
    return (
        f"11.{number >> 16}.{low}"
        if number % 2
        else f"2001:{number >> 16:x}:{number & 65_535:x}::1"
    )


class Flood:
    """Sends requests over persistent connections, at most `rate` per second."""

    def __init__(self, port, requests, rate, address_of):
        self.port, self.requests, self.rate, self.address_of = port, requests, rate, address_of
        self.statuses = Counter()
        self._sent = 0

    async def run(self):
        self._started = time.monotonic()
        await asyncio.gather(*(self._send_all() for _ in range(CONNECTIONS)))
        self.took = time.monotonic() - self._started

    async def _send_all(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        while self._sent < self.requests:
            number, self._sent = self._sent, self._sent + 1
            wait = self._started + number / self.rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            client = self.address_of(number)
            head = f"GET {PATH} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            self.statuses[int(answer[9:12])] += 1
            length = re.search(rb"\r\ncontent-length: (\d+)", answer)
            if length:
                await reader.readexactly(int(length[1]))
        writer.close()


class RegularUsers:
    """Users who refresh or log in during the flood, each from a separate client address."""

    def __init__(self, url):
        self.url = url
        self.refreshes, self.logins, self.statuses = [], [], Counter()
        self._clients = [Client(url).sign_up() for _ in range(10)]
        for number, client in enumerate(self._clients):
            client.http.headers["x-forwarded-for"] = f"192.0.2.{number + 1}"
        self._loops = [self._refreshing_client(client) for client in self._clients[:6]]
        self._loops += [self._login_client(client) for client in self._clients[6:]]

    def _refreshing_client(self, client):
        def work():
            started = time.monotonic()
            answer = client.refresh()
            self.refreshes.append(time.monotonic() - started)
            self.statuses["refresh", answer.status_code] += 1

        return work

    def _login_client(self, client):
        """Logs in on the page, from the authorization request to the code."""

        def work():
            started = time.monotonic()
            page = client.http.get(PATH)
            cookie = page.headers["set-cookie"].split(";")[0]
            form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
            form |= {"username": client.email, "password": PASSWORD}
            answer = client.http.post("/login", data=form, headers={"cookie": cookie})
            self.logins.append(time.monotonic() - started)
            has_code = answer.headers.get("location", "").startswith(f"{CALLBACK}?code=")
            self.statuses["login", answer.status_code, has_code] += 1

        return work

    def during(self, work):
        self.refreshes, self.logins = [], []
        with Loop(*self._loops, pause=0.6) as loops:
            work()
        return self.refreshes, self.logins, loops.errors


def size_of(workspace, cluster):
    if cluster is None:
        return sum(it.stat().st_size for it in workspace.directory.glob("signet.db*"))
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
    return int(cluster.execute(size)[0][0])


def pending_rows(workspace, cluster):
    count = "SELECT count(*) FROM pending_authorization"
    if cluster is not None:
        return cluster.execute(count)[0][0]
    with sqlite3.connect(f"file:{workspace.directory}/signet.db?mode=ro", uri=True) as db:
        return db.execute(count).fetchone()[0]


def memory_of(signet):
    """The resident memory of the instance, in MiB."""
    for line in Path(f"/proc/{signet.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    return 0


def flood(report, workspace, cluster, signet, regular_users, name, address_of, rate, options):
    print(f"-- {name}", flush=True)
    idle_refreshes, idle_logins, errors = regular_users.during(lambda: time.sleep(IDLE_SECONDS))
    size, memory = size_of(workspace, cluster), memory_of(signet)
    attackers = Flood(signet.port, options.requests, rate, address_of)
    refreshes, logins, flood_errors = regular_users.during(lambda: asyncio.run(attackers.run()))
    written = len(refreshes) + len(logins)
    grown = size_of(workspace, cluster) - size
    report.figure(
        "unfinished logins",
        f"{options.requests} in {attackers.took:.0f} s: {dict(attackers.statuses)}",
    )
    report.figure("memory", f"{memory} MiB, then {memory_of(signet)} MiB")
    later_refreshes, later_logins, later_errors = regular_users.during(
        lambda: time.sleep(IDLE_SECONDS)
    )
    for what, idle, now, later in (
        ("refresh", idle_refreshes, refreshes, later_refreshes),
        ("login", idle_logins, logins, later_logins),
    ):
        third = len(now) // 3
        first, last = now[:third], now[-third:]
        for when, took in (
            ("idle", idle),
            ("first third", first),
            ("last third", last),
            ("idle again", later),
        ):
            report.figure(f"{what}, {when}", milliseconds(took))
        # The load itself may slow other clients down. Stored requests would slow them down for
        # longer.
        for when, took, before, tolerance in (
            ("during the flood", now, idle, 1.0),
            ("in the last third", last, first, 0.25),
            ("after the flood", later, idle, 0.25),
        ):
            p99 = percentile(before, 0.99)
            bound = max(2 * p99, p99 + tolerance)
            report.check(
                percentile(took, 0.99) <= bound, f"{what}: p99 {when} at most {bound * 1e3:.0f} ms"
            )
    report.figure(
        "database",
        f"{size / 1024:.0f} KiB, {grown / 1024:+.0f} KiB; other clients wrote {written} times",
    )
    report.check(pending_rows(workspace, cluster) == 0, "no row is pending")
    # Logins of the other clients and their audit events use some space.
    report.check(
        grown <= 16 * 1024 * written + 4 * 1024 * 1024,
        "the database only grows by the writes of other clients",
    )
    bad = {
        it: n
        for it, n in regular_users.statuses.items()
        if it not in (("refresh", 200), ("login", 303, True))
    }
    errors += flood_errors + later_errors
    report.check(
        not bad and not errors, f"no request of another client is rejected {bad} {errors[:2]}"
    )
    return attackers


def run(report, workspace, kind, options):
    print(f"== on {kind}", flush=True)
    cluster = workspace.cluster() if kind == "postgresql" else None
    url = cluster.url("signet") if cluster else f"sqlite:{workspace.directory}/signet.db"
    signet = workspace.signet(url, **LIMITS)
    signet.start()
    created = command(
        signet, "client", "create", "web", "--redirect-uri", CALLBACK, "--consent", "skip"
    )
    output, _ = created.communicate(timeout=30)
    assert created.returncode == 0, output
    regular_users = RegularUsers(signet.url)
    rates = options.rate * 4, options.rate
    block = flood(
        report,
        workspace,
        cluster,
        signet,
        regular_users,
        "one /48",
        one_ipv6_block,
        rates[0],
        options,
    )
    # The limit per minute of ten clients, plus the initial burst.
    max_served = 10 * PER_MINUTE * (block.took / 60 + 1.1)
    served = block.statuses[200]
    report.check(
        served <= max_served, f"the /48 is served at most {max_served:.0f} times: {served}"
    )
    report.check(set(block.statuses) == {200, 429}, "200 or 429")
    many = flood(
        report,
        workspace,
        cluster,
        signet,
        regular_users,
        "100,000 addresses",
        many_addresses,
        rates[1],
        options,
    )
    report.check(set(many.statuses) == {200}, "each address is within its own limit")
    report.check(
        is_running(signet) and signet.stop() == 0, "the process is running and exits with 0"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--rate", type=int, default=40)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    report = Report(f"strangers: {options.requests} unfinished logins per round")
    kinds = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    # Each round may take this long on a machine that is slower than the requested rate.
    bound = len(kinds) * (120 + 2 * (IDLE_SECONDS + 10 * options.requests // options.rate))
    with time_limit(bound):
        for kind in kinds:
            with Workspace() as workspace:
                run(report, workspace, kind, options)
    report.end()

"""Measures user requests, alternately on a small and on a large database, and a client's removal.

    timings.py [--accounts 1000000] [--rounds 60] [--holders 300000] [--analyze]

The database is SQLite, or PostgreSQL if `TEST_DATABASE_URL` is set. `SIGNET_BIN` names a release
build with default settings, except for limits. One request runs at a time, after a warm-up. The
results are medians with quartiles.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

import httpx  # noqa: E402
from balancer import ISSUER, Balancer  # noqa: E402
from databases import fresh_database  # noqa: E402
from form_browser import FormBrowser  # noqa: E402
from large_database import Postgres, Sqlite, fill  # noqa: E402
from processes import SIGNET_BIN, Signet, clean_environment  # noqa: E402

PASSWORD = "Correct-horse-7"
CALLBACK = "https://rp.example.test/callback"
SETTINGS = {
    "SIGNET_ISSUER": ISSUER,
    "SIGNET_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE": "100000",
    "SIGNET_REFRESHES_PER_MINUTE": "1000000",
    "SIGNET_REQUESTS_PER_MINUTE": "1000000",
    "SIGNET_HASH_BACKLOG_SECONDS": "60",
}
CLIENT = f"""
[[client]]
client_id = "shop"
client_name = "Shop"
redirect_uris = ["{CALLBACK}"]
token_endpoint_auth_method = "none"
consent = "skip"
scope = "openid email"

[[client]]
client_id = "web"
client_name = "Web"
redirect_uris = ["{CALLBACK}"]
token_endpoint_auth_method = "none"
"""


# A server whose CPU time grows by less than this share of a core has finished its startup work.
IDLE = 0.02
LONGEST_START_SECONDS = 900


class Installation:
    """A server with a database of a given size."""

    def __init__(
        self,
        name: str,
        stack: ExitStack,
        holders: int | None,
        number: int,
        fresh: int,
        events: int | None = None,
    ) -> None:
        self.name = name
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        self.database = fresh_database(directory)
        stack.callback(self.database.drop)
        self.signet = Signet(directory, self.database, **SETTINGS)
        stack.callback(self.signet.kill)
        clients = directory / "clients.toml"
        clients.write_text(CLIENT)
        self.command("migrate", "up")
        self.command("client", "apply", str(clients))
        self.signet.start().stop()  # creates the first status list and a key
        self.connection = self._connect()
        fill(self.connection, number, holders, fresh, events)
        self.signet.start()
        self.http = httpx.Client(base_url=self.signet.url, timeout=60)
        self.email = f"{secrets.token_hex(4)}@example.test"
        self.tokens = self.post("/api/auth/signup", email=self.email, password=PASSWORD)
        browser = httpx.Client(transport=Balancer([self.signet.port]), timeout=60)
        self.browser = FormBrowser(browser, CALLBACK)
        self.code = ""

    def _connect(self) -> Sqlite | Postgres:
        if "TEST_DATABASE_URL" in os.environ:
            return Postgres(self.database.url)
        return Sqlite(str(self.database.path))  # type: ignore[union-attr]

    def command(self, *arguments: str) -> None:
        environment = clean_environment() | self.signet.settings
        subprocess.run(
            [str(SIGNET_BIN), *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    def post(self, path: str, **body: str) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()  # type: ignore[no-any-return]

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    # --- timed operations -------------------------------------------------------------------------

    def sign_up(self) -> None:
        self.post(
            "/api/auth/signup", email=f"{secrets.token_hex(8)}@example.test", password=PASSWORD
        )

    def log_in(self) -> None:
        self.tokens = self.post("/api/auth/login", email=self.email, password=PASSWORD)

    def refresh(self) -> None:
        self.tokens = self.post("/api/auth/refresh", refresh_token=self.tokens["refresh_token"])

    def me(self) -> None:
        assert self.http.get("/api/auth/me", headers=self.bearer()).status_code == 200

    def sessions(self) -> None:
        assert self.http.get("/api/auth/sessions", headers=self.bearer()).status_code == 200

    def log_out(self) -> None:
        assert self.http.post("/api/auth/logout", headers=self.bearer()).status_code == 200

    def authorize(self) -> None:
        query = f"client_id=shop&response_type=code&scope=openid&redirect_uri={CALLBACK}"
        challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        url = f"{ISSUER}/oauth2/authorize?{query}&state=x&code_challenge={challenge}"
        self.browser.open("GET", f"{url}&code_challenge_method=S256")

    def issue_code(self) -> None:
        self.authorize()
        assert "code" in self.browser.at.parameters, self.browser.at
        self.code = self.browser.at.parameters["code"]

    def exchange(self) -> None:
        form = {"grant_type": "authorization_code", "code": self.code, "redirect_uri": CALLBACK}
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        form |= {"client_id": "shop", "code_verifier": verifier}
        answer = self.http.post("/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        self.issued = answer.json()

    def userinfo(self) -> None:
        headers = {"Authorization": f"Bearer {self.issued['access_token']}"}
        assert self.http.get("/oauth2/userinfo", headers=headers).status_code == 200

    def account_page(self) -> None:
        self.browser.open("GET", f"{ISSUER}/account")
        assert self.browser.at.status == 200

    def open_login_page(self) -> None:
        self.browser.http.cookies.clear()
        self.browser.open("GET", f"{ISSUER}/login")
        self.browser.fill("username", self.email)
        self.browser.fill("password", PASSWORD)

    def submit_login_page(self) -> None:
        self.browser.click("login-submit")
        assert self.browser.at.url.endswith("/account"), self.browser.at


OPERATIONS: list[tuple[str, Callable[[Installation], None]]] = [
    ("sign up", Installation.sign_up),
    ("log in (JSON)", Installation.log_in),
    ("me", Installation.me),
    ("list sessions", Installation.sessions),
    ("refresh", Installation.refresh),
    ("log out", Installation.log_out),
    ("the login page", Installation.open_login_page),
    ("log in (page)", Installation.submit_login_page),
    ("the account's page", Installation.account_page),
    ("authorize", Installation.issue_code),
    ("code exchange", Installation.exchange),
    ("userinfo", Installation.userinfo),
]


def cpu_milliseconds(pid: int) -> float:
    """CPU time of a process in milliseconds. Other load on the machine hardly affects it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((it / "schedstat").read_text().split()[0]) for it in tasks) / 1e6


def compare(installations: list[Installation], rounds: int) -> None:
    """Measures each operation on the installations in turn, and prints the results."""
    durations: dict[tuple[str, str], list[float]] = {}
    cpu_times: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 5):
        for name, operation in OPERATIONS:
            for one in installations if number % 2 else reversed(installations):
                began, before = time.perf_counter(), cpu_milliseconds(one.signet.pid)
                operation(one)
                if number >= 5:  # the first five rounds are a warm-up
                    seconds, after = time.perf_counter() - began, cpu_milliseconds(one.signet.pid)
                    durations.setdefault((name, one.name), []).append(seconds * 1000)
                    cpu_times.setdefault((name, one.name), []).append(after - before)
    names = [one.name for one in installations]
    for unit, measured in (("ms", durations), ("ms of the server on a core", cpu_times)):
        few, many = (f"{it}, {unit}" for it in names)
        print(f"| operation | {few} | {many} | ratio |\n|---|--:|--:|--:|")
        for name, _ in OPERATIONS:
            cells = [cell(measured[name, size]) for size in names]
            small, large = (statistics.median(measured[name, size]) for size in names)
            print(f"| {name} | {cells[0]} | {cells[1]} | {large / small:.2f} |")


def wait_until_idle(one: Installation) -> None:
    """Waits until the startup work is done: the first purges, and the first status lists."""
    began, quiet = time.monotonic(), 0
    while quiet < 5 and time.monotonic() - began < LONGEST_START_SECONDS:
        before = cpu_milliseconds(one.signet.pid)
        time.sleep(2)
        quiet = quiet + 1 if cpu_milliseconds(one.signet.pid) - before < IDLE * 2000 else 0
    took = time.monotonic() - began
    used = cpu_milliseconds(one.signet.pid)
    print(f"{one.name} accounts: idle {took:.0f} s after the start, {used:.0f} ms")


def cell(took: list[float]) -> str:
    low, middle, high = statistics.quantiles(took, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def percentiles(took: list[float]) -> str:
    ordered = sorted(took)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return f"p50 {at[0]:.1f} ms, p99 {at[1]:.1f} ms, at most {ordered[-1]:.1f} ms ({len(took)})"


async def remove_client(one: Installation, holders: int) -> None:
    """Removes `web` while users of other clients refresh 100 times per second.

    The command is killed once and run again. Afterwards, no rows of the client may be left."""
    people = []
    for _ in range(40):
        email = f"{secrets.token_hex(8)}@example.test"
        people.append(one.post("/api/auth/signup", email=email, password=PASSWORD))
    async with httpx.AsyncClient(base_url=one.signet.url, timeout=60) as http_client:

        async def refresh_until(done: asyncio.Event) -> list[float]:
            """Returns the durations of the refreshes, in milliseconds."""
            took: list[float] = []

            async def refresh(person: dict[str, Any]) -> None:
                began = time.perf_counter()
                answer = await http_client.post(
                    "/api/auth/refresh", json={"refresh_token": person["refresh_token"]}
                )
                took.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, answer.text
                person.update(answer.json())
                idle.append(person)

            idle, tasks = [*people], []
            while not done.is_set():
                if idle:
                    tasks.append(asyncio.create_task(refresh(idle.pop(0))))
                await asyncio.sleep(0.01)
            await asyncio.gather(*tasks)
            return took

        done = asyncio.Event()
        asyncio.get_running_loop().call_later(20, done.set)
        print("refreshes before:", percentiles(await refresh_until(done)))
        done = asyncio.Event()
        refreshing = asyncio.create_task(refresh_until(done))
        environment = clean_environment() | one.signet.settings
        delete = [str(SIGNET_BIN), "client", "delete", "web"]
        removal = await asyncio.create_subprocess_exec(*delete, env=environment)
        await asyncio.sleep(1)
        removal.kill()
        await removal.wait()
        began = time.perf_counter()
        removal = await asyncio.create_subprocess_exec(*delete, env=environment)
        assert await removal.wait() == 0
        took = time.perf_counter() - began
        done.set()
        print(f"client delete, {holders} sessions, killed once: {took:.1f} s more")
        print("refreshes meanwhile:", percentiles(await refreshing))
    count = "SELECT count(*) FROM"
    for rows in (
        "session WHERE client_id = 'web' AND ended_at IS NULL",
        "consent WHERE client_id = 'web'",
        "authorization_code WHERE client_id = 'web'",
        "pending_authorization WHERE client_id = 'web'",
        "logout_notice WHERE client_id = 'web'",
        "client WHERE id = 'web'",
    ):
        remaining = one.connection.execute(f"{count} {rows}")[0][0]
        assert remaining == 0, f"{remaining} rows remain: {rows}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--holders", type=int, default=300_000)
    parser.add_argument("--analyze", action="store_true")
    options = parser.parse_args()
    print("load before:", os.getloadavg())
    with ExitStack() as stack:
        began = time.monotonic()
        small = Installation("1,000", stack, None, 1_000, 0)
        large = Installation(f"{options.accounts:,}", stack, options.holders, options.accounts, 0)
        print(f"databases filled in {time.monotonic() - began:.0f} s")
        for one in (small, large):
            if options.analyze:
                one.connection.execute("ANALYZE")
                one.signet.restart()
            wait_until_idle(one)
        compare([small, large], options.rounds)
        asyncio.run(remove_client(large, options.holders))
    print("load after:", os.getloadavg())


if __name__ == "__main__":
    main()

"""Times user requests, on a small and on a large database alternately, and the removal of a client.

    timings.py [--accounts 1000000] [--rounds 60] [--holders 300000] [--analyze]

On SQLite, or on the PostgreSQL of `TEST_DATABASE_URL`. `SIGNET_BIN` names a release build. One
client at a time, warm; medians with quartiles. Default settings, except for limits.
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
    """A Signet with a database of a given size."""

    def __init__(
        self, name: str, stack: ExitStack, holders: int | None, number: int, fresh: int
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
        self.signet.start().stop()  # creates the first status list, and a key
        self.filler = self._connect()
        fill(self.filler, number, holders, fresh)
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

    def code_issued(self) -> None:
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

    def login_page(self) -> None:
        self.browser.http.cookies.clear()
        self.browser.open("GET", f"{ISSUER}/login")
        self.browser.fill("username", self.email)
        self.browser.fill("password", PASSWORD)

    def hosted_login(self) -> None:
        self.browser.click("login-submit")
        assert self.browser.at.url.endswith("/account"), self.browser.at


OPERATIONS: list[tuple[str, Callable[[Installation], None]]] = [
    ("sign up", Installation.sign_up),
    ("log in (JSON)", Installation.log_in),
    ("me", Installation.me),
    ("list sessions", Installation.sessions),
    ("refresh", Installation.refresh),
    ("log out", Installation.log_out),
    ("the login page", Installation.login_page),
    ("log in (page)", Installation.hosted_login),
    ("the account's page", Installation.account_page),
    ("authorize", Installation.code_issued),
    ("code exchange", Installation.exchange),
    ("userinfo", Installation.userinfo),
]


def cpu(pid: int) -> float:
    """Milliseconds of CPU time of a process, which a busy machine affects least."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((it / "schedstat").read_text().split()[0]) for it in tasks) / 1e6


def compare(installations: list[Installation], rounds: int) -> None:
    took: dict[tuple[str, str], list[float]] = {}
    worked: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 5):
        for name, operation in OPERATIONS:
            for one in installations if number % 2 else reversed(installations):
                began, before = time.perf_counter(), cpu(one.signet.pid)
                operation(one)
                if number >= 5:  # warm from here on
                    seconds, after = time.perf_counter() - began, cpu(one.signet.pid)
                    took.setdefault((name, one.name), []).append(seconds * 1000)
                    worked.setdefault((name, one.name), []).append(after - before)
    names = [one.name for one in installations]
    for what, measured in (("ms", took), ("ms of the server on a core", worked)):
        few, many = (f"{it}, {what}" for it in names)
        print(f"| operation | {few} | {many} | ratio |\n|---|--:|--:|--:|")
        for name, _ in OPERATIONS:
            cells = [cell(measured[name, which]) for which in names]
            less, more = (statistics.median(measured[name, which]) for which in names)
            print(f"| {name} | {cells[0]} | {cells[1]} | {more / less:.2f} |")


def settle(one: Installation) -> None:
    """Waits for the startup work: the first purges, and the first status lists."""
    began, quiet = time.monotonic(), 0
    while quiet < 5 and time.monotonic() - began < LONGEST_START_SECONDS:
        before = cpu(one.signet.pid)
        time.sleep(2)
        quiet = quiet + 1 if cpu(one.signet.pid) - before < IDLE * 2000 else 0
    took = time.monotonic() - began
    print(f"{one.name} accounts: idle {took:.0f} s after the start, {cpu(one.signet.pid):.0f} ms")


def cell(took: list[float]) -> str:
    low, middle, high = statistics.quantiles(took, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def percentiles(took: list[float]) -> str:
    ordered = sorted(took)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return f"p50 {at[0]:.1f} ms, p99 {at[1]:.1f} ms, at most {ordered[-1]:.1f} ms ({len(took)})"


async def remove_client(one: Installation, holders: int) -> None:
    """Removes `web` while other clients refresh, 100 times a second."""
    people = []
    for _ in range(40):
        email = f"{secrets.token_hex(8)}@example.test"
        people.append(one.post("/api/auth/signup", email=email, password=PASSWORD))
    async with httpx.AsyncClient(base_url=one.signet.url, timeout=60) as http_client:

        async def refresh_until(done: asyncio.Event) -> list[float]:
            took: list[float] = []

            async def once(person: dict[str, Any]) -> None:
                began = time.perf_counter()
                answer = await http_client.post(
                    "/api/auth/refresh", json={"refresh_token": person["refresh_token"]}
                )
                took.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, answer.text
                person.update(answer.json())
                free.append(person)

            free, tasks = [*people], []
            while not done.is_set():
                if free:
                    tasks.append(asyncio.create_task(once(free.pop(0))))
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
    for rest in (
        "session WHERE client_id = 'web' AND ended_at IS NULL",
        "consent WHERE client_id = 'web'",
        "authorization_code WHERE client_id = 'web'",
        "pending_authorization WHERE client_id = 'web'",
        "logout_notice WHERE client_id = 'web'",
        "client WHERE id = 'web'",
    ):
        left = one.filler.execute(f"{count} {rest}")[0][0]
        assert left == 0, f"{left} left: {rest}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--holders", type=int, default=300_000)
    parser.add_argument("--analyze", action="store_true")
    given = parser.parse_args()
    print("load before:", os.getloadavg())
    with ExitStack() as stack:
        began = time.monotonic()
        small = Installation("1,000", stack, None, 1_000, 0)
        large = Installation(f"{given.accounts:,}", stack, given.holders, given.accounts, 0)
        print(f"made in {time.monotonic() - began:.0f} s")
        for one in (small, large):
            if given.analyze:
                one.filler.execute("ANALYZE")
                one.signet.restart()
            settle(one)
        compare([small, large], given.rounds)
        asyncio.run(remove_client(large, given.holders))
    print("load after:", os.getloadavg())


if __name__ == "__main__":
    main()

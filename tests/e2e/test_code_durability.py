"""A code works once, even if Signet is killed during the exchange (MUST-213)."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx

from balancer import ISSUER, Balancer
from clients import PASSWORD, SignetClient, Tokens, some_email
from databases import Database
from form_browser import FormBrowser
from processes import Signet
from relying_party import CHALLENGE, VERIFIER
from stock import register

ROUNDS = 15
CODES = 48
"""Codes per round: more than can be exchanged before the kill."""
CLIENTS = 4

CLIENT = "app"
CALLBACK = "https://app.example/callback"


@dataclass
class Ledger:
    """What the client knows when the server is killed."""

    answered: dict[str, str] = field(default_factory=dict)
    """Refresh tokens, by the exchanged code."""
    unanswered: list[str] = field(default_factory=list)


@dataclass
class Party:
    """A client that skips consent, and a browser with a login."""

    signet: Signet
    secret: str
    browser: FormBrowser

    def code(self) -> str:
        request = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "scope": "openid offline_access",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        arrival = self.browser.open("GET", f"{ISSUER}/oauth2/authorize?{urlencode(request)}")
        return arrival.parameters["code"]

    def redeem(self, http: httpx.Client, code: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.call(http, "token", **form, code_verifier=VERIFIER)

    def refresh(self, http: httpx.Client, token: str) -> httpx.Response:
        return self.call(http, "token", grant_type="refresh_token", refresh_token=token)

    def call(self, http: httpx.Client, endpoint: str, **form: str) -> httpx.Response:
        who = {"client_id": CLIENT, "client_secret": self.secret}
        return http.post(f"{self.signet.url}/oauth2/{endpoint}", data={**form, **who})


def test_code_works_once_after_kill_9(signet: Signet, database: Database, tmp_path: Path) -> None:
    limits = ("ATTEMPTS", "ACCOUNT_ATTEMPTS", "REFRESHES", "REQUESTS", "CLIENT_REQUESTS")
    signet.settings["SIGNET_ISSUER"] = ISSUER
    # With a retry window, a client could repeat an exchange that the kill interrupted.
    signet.settings["SIGNET_REFRESH_RETRY_SECONDS"] = "0"
    signet.settings |= {f"SIGNET_{limit}_PER_MINUTE": "100000" for limit in limits}
    signet.start()
    party = arrange(signet, tmp_path)
    answered = unanswered = spent = 0

    for _ in range(ROUNDS):
        ledger = redeem_until_killed(party)
        signet.start()
        answered += len(ledger.answered)
        unanswered += len(ledger.unanswered)
        spent += check(party, ledger)

    print(f"{answered} answers, {unanswered} lost; of these, {spent} codes were spent")
    assert answered >= ROUNDS, "too few exchanges for a meaningful test"
    assert unanswered >= ROUNDS, "too few requests were in flight when Signet was killed"
    signet.stop()
    assert_sessions_have_one_code_and_an_event(database)


def redeem_until_killed(party: Party) -> Ledger:
    """Presents each code once. Codes that were not presented do not count."""
    codes = [party.code() for _ in range(CODES)]
    ledger, answers = Ledger(), threading.Semaphore(0)

    def redeem_sequentially(http: httpx.Client, mine: list[str]) -> None:
        for code in mine:
            try:
                answer = party.redeem(http, code)
            except httpx.ConnectError:
                return  # it was not sent
            except httpx.TransportError:
                ledger.unanswered.append(code)
                return
            assert answer.status_code == 200, answer.text
            ledger.answered[code] = answer.json()["refresh_token"]
            answers.release()

    with ExitStack() as stack:
        # Created in advance, since the first moments are short.
        clients = [stack.enter_context(httpx.Client(timeout=30)) for _ in range(CLIENTS)]
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        shares = [codes[number::CLIENTS] for number in range(CLIENTS)]
        running = [
            pool.submit(redeem_sequentially, http, mine)
            for http, mine in zip(clients, shares, strict=True)
        ]
        for _ in range(random.randrange(CODES // 3)):
            assert answers.acquire(timeout=30), "no answers"
        time.sleep(random.uniform(0, 0.03))
        party.signet.kill()
        for client in running:
            client.result()
    return ledger


def check(party: Party, ledger: Ledger) -> int:
    """Reports how many codes were used although no response arrived."""
    spent = 0
    with httpx.Client(timeout=30) as http:
        for code, refresh_token in ledger.answered.items():
            # Acknowledged tokens are still valid, and the used code is not.
            again = party.refresh(http, refresh_token)
            assert again.status_code == 200, again.text
            is_refused(party.redeem(http, code))
            # Reuse of a code ends its session.
            is_refused(party.refresh(http, again.json()["refresh_token"]))
        for code in ledger.unanswered:
            second = party.redeem(http, code)
            if second.status_code == 200:
                refresh_token = second.json()["refresh_token"]
                assert party.refresh(http, refresh_token).status_code == 200
            else:
                is_refused(second)
                spent += 1
            is_refused(party.redeem(http, code))
    return spent


def is_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_grant"


def assert_sessions_have_one_code_and_an_event(database: Database) -> None:
    sessions = database.execute(
        "SELECT id, ended_at, end_reason FROM session WHERE client_id = ?", CLIENT
    )
    of_codes = database.execute(
        "SELECT session_id FROM authorization_code WHERE session_id IS NOT NULL"
    )
    events = database.execute("SELECT session_id FROM auth_event WHERE type = 'code_redeemed'")
    redeemed = database.execute(
        "SELECT COUNT(*) FROM authorization_code WHERE redeemed_at IS NOT NULL"
    )
    identities = sorted(identity for identity, _, _ in sessions)
    assert sorted(identity for (identity,) in of_codes) == identities
    assert sorted(identity for (identity,) in events) == identities
    assert redeemed == [(len(identities),)], "a code was used without a session"
    # Every code has been presented twice by now.
    assert all(ended_at is not None for _, ended_at, _ in sessions)
    assert {reason for _, _, reason in sessions} == {"code_reuse"}


def arrange(signet: Signet, directory: Path) -> Party:
    described = {
        "client_id": CLIENT,
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid offline_access",
        "token_endpoint_auth_method": "client_secret_post",
        "consent": "skip",
    }
    secret = register(signet, directory, [described])[CLIENT]
    email = some_email()
    with SignetClient(signet.url) as front_end:
        Tokens.of(front_end.sign_up(email), 201)
    http = httpx.Client(transport=Balancer([signet.port]), timeout=30)
    browser = FormBrowser(http, CALLBACK)
    browser.open("GET", f"{ISSUER}/login")
    browser.fill("username", email)
    browser.fill("password", PASSWORD)
    assert browser.click("login-submit").url == f"{ISSUER}/account"
    return Party(signet, secret, browser)

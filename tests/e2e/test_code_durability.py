"""A code can be exchanged once, even if Signet is killed during the exchange (MUST-213)."""

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
from clients import PASSWORD, SignetClient, Tokens, random_email
from databases import Database
from form_browser import FormBrowser
from processes import Signet
from relying_party import CHALLENGE, VERIFIER
from stock import register

ROUNDS = 15
CODES = 48
"""Codes per round. The server is killed before all of them have been exchanged."""
CLIENTS = 4

CLIENT = "app"
CALLBACK = "https://app.example/callback"


@dataclass
class ExchangeRecord:
    """The client's record of its exchanges when the server is killed."""

    answered: dict[str, str] = field(default_factory=dict)
    """The refresh token for each exchanged code."""
    unanswered: list[str] = field(default_factory=list)


@dataclass
class ClientWithLogin:
    """A client without consent pages, and a browser with a login."""

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
        credentials = {"client_id": CLIENT, "client_secret": self.secret}
        return http.post(f"{self.signet.url}/oauth2/{endpoint}", data={**form, **credentials})


def test_code_can_be_redeemed_once_despite_kill_9(
    signet: Signet, database: Database, tmp_path: Path
) -> None:
    limits = ("ATTEMPTS", "ACCOUNT_ATTEMPTS", "REFRESHES", "REQUESTS", "CLIENT_REQUESTS")
    signet.settings["SIGNET_ISSUER"] = ISSUER
    # With a retry window, the client could repeat an exchange that the kill interrupted.
    signet.settings["SIGNET_REFRESH_RETRY_SECONDS"] = "0"
    signet.settings |= {f"SIGNET_{limit}_PER_MINUTE": "100000" for limit in limits}
    signet.start()
    client_with_login = register_and_log_in(signet, tmp_path)
    answered = unanswered = redeemed = 0

    for _ in range(ROUNDS):
        record = redeem_until_killed(client_with_login)
        signet.start()
        answered += len(record.answered)
        unanswered += len(record.unanswered)
        redeemed += check_codes_and_tokens(client_with_login, record)

    print(f"{answered} answered, {unanswered} unanswered exchanges; {redeemed} of these redeemed")
    assert answered >= ROUNDS, "too few exchanges for a meaningful test"
    assert unanswered >= ROUNDS, "too few requests were in flight when Signet was killed"
    signet.stop()
    assert_sessions_have_one_code_and_an_event(database)


def redeem_until_killed(client_with_login: ClientWithLogin) -> ExchangeRecord:
    """Presents each code once, until the server is killed. Unsent codes are not recorded."""
    codes = [client_with_login.code() for _ in range(CODES)]
    record, answers = ExchangeRecord(), threading.Semaphore(0)

    def redeem_sequentially(http: httpx.Client, share: list[str]) -> None:
        for code in share:
            try:
                answer = client_with_login.redeem(http, code)
            except httpx.ConnectError:
                return  # the code was not sent
            except httpx.TransportError:
                record.unanswered.append(code)
                return
            assert answer.status_code == 200, answer.text
            record.answered[code] = answer.json()["refresh_token"]
            answers.release()

    with ExitStack() as stack:
        # Created in advance, since the kill may follow within milliseconds.
        clients = [stack.enter_context(httpx.Client(timeout=30)) for _ in range(CLIENTS)]
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        shares = [codes[number::CLIENTS] for number in range(CLIENTS)]
        running = [
            pool.submit(redeem_sequentially, http, share)
            for http, share in zip(clients, shares, strict=True)
        ]
        for _ in range(random.randrange(CODES // 3)):
            assert answers.acquire(timeout=30), "no answers"
        time.sleep(random.uniform(0, 0.03))
        client_with_login.signet.kill()
        for client in running:
            client.result()
    return record


def check_codes_and_tokens(client_with_login: ClientWithLogin, record: ExchangeRecord) -> int:
    """Checks every code and token of the record.

    Returns the number of codes that were redeemed although no response arrived.
    """
    redeemed = 0
    with httpx.Client(timeout=30) as http:
        for code, refresh_token in record.answered.items():
            # The tokens of a response are still valid, and its code is not.
            again = client_with_login.refresh(http, refresh_token)
            assert again.status_code == 200, again.text
            assert_invalid_grant(client_with_login.redeem(http, code))
            # The reuse of the code has ended the session.
            assert_invalid_grant(client_with_login.refresh(http, again.json()["refresh_token"]))
        for code in record.unanswered:
            second = client_with_login.redeem(http, code)
            if second.status_code == 200:
                refresh_token = second.json()["refresh_token"]
                assert client_with_login.refresh(http, refresh_token).status_code == 200
            else:
                assert_invalid_grant(second)
                redeemed += 1
            assert_invalid_grant(client_with_login.redeem(http, code))
    return redeemed


def assert_invalid_grant(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_grant"


def assert_sessions_have_one_code_and_an_event(database: Database) -> None:
    sessions = database.execute(
        "SELECT id, ended_at, end_reason FROM session WHERE client_id = ?", CLIENT
    )
    sessions_of_codes = database.execute(
        "SELECT session_id FROM authorization_code WHERE session_id IS NOT NULL"
    )
    events = database.execute("SELECT session_id FROM auth_event WHERE type = 'code_redeemed'")
    redeemed = database.execute(
        "SELECT COUNT(*) FROM authorization_code WHERE redeemed_at IS NOT NULL"
    )
    identities = sorted(identity for identity, _, _ in sessions)
    assert sorted(identity for (identity,) in sessions_of_codes) == identities
    assert sorted(identity for (identity,) in events) == identities
    assert redeemed == [(len(identities),)], "a code was redeemed without a session"
    # By now each code has been presented again after its redemption, which ended its session.
    assert all(ended_at is not None for _, ended_at, _ in sessions)
    assert {reason for _, _, reason in sessions} == {"code_reuse"}


def register_and_log_in(signet: Signet, directory: Path) -> ClientWithLogin:
    client = {
        "client_id": CLIENT,
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid offline_access",
        "token_endpoint_auth_method": "client_secret_post",
        "consent": "skip",
    }
    secret = register(signet, directory, [client])[CLIENT]
    email = random_email()
    with SignetClient(signet.url) as front_end:
        Tokens.of(front_end.sign_up(email), 201)
    http = httpx.Client(transport=Balancer([signet.port]), timeout=30)
    browser = FormBrowser(http, CALLBACK)
    browser.open("GET", f"{ISSUER}/login")
    browser.fill("username", email)
    browser.fill("password", PASSWORD)
    assert browser.click("login-submit").url == f"{ISSUER}/account"
    return ClientWithLogin(signet, secret, browser)

"""Acknowledged changes survive `kill -9` at any moment."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from clients import SignetClient, Tokens, random_email
from processes import Signet

ROUNDS = 20
CLIENTS = 4


@dataclass
class SignUpRecord:
    """The clients' record of their sign-ups when the server is killed."""

    acknowledged: list[Tokens] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


def test_acknowledged_sign_ups_survive_kill_9(signet: Signet) -> None:
    signet.settings["SIGNET_TRUSTED_PROXIES"] = "127.0.0.1/32"
    stored_accounts: list[Tokens] = []
    signet.start()

    for round_number in range(1, ROUNDS + 1):
        record = sign_up_until_killed(signet)
        signet.start()
        stored_accounts += check_accounts(signet, record, round_number)

    assert len(stored_accounts) >= ROUNDS, "too few sign-ups for a meaningful test"
    # Later crashes did not damage the accounts of earlier rounds.
    with SignetClient(signet.url, behind_proxy=True) as client:
        for tokens in stored_accounts:
            assert Tokens.of(client.refresh(tokens.refresh_token), 200).user_id == tokens.user_id


def sign_up_until_killed(signet: Signet) -> SignUpRecord:
    record = SignUpRecord()

    def sign_up_repeatedly() -> None:
        with SignetClient(signet.url, behind_proxy=True) as client:
            while True:
                email = random_email()
                try:
                    answer = client.sign_up(email)
                except httpx.TransportError:
                    record.unanswered.append(email)
                    return
                record.acknowledged.append(Tokens.of(answer, 201))

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(sign_up_repeatedly) for _ in range(CLIENTS)]
        time.sleep(random.uniform(0.05, 0.8))
        signet.kill()
        for client in running:
            client.result()
    return record


def check_accounts(signet: Signet, record: SignUpRecord, round_number: int) -> list[Tokens]:
    """Checks that all accounts of the record exist. Returns their newest tokens."""

    def check_account(tokens: Tokens) -> Tokens:
        # The token was issued before the crash, so the signing key and the master key exist, too.
        refreshed = Tokens.of(client.refresh(tokens.refresh_token), 200)
        logged_in = Tokens.of(client.log_in(tokens.email), 200)
        assert refreshed.user_id == logged_in.user_id == tokens.user_id, f"round {round_number}"
        return refreshed

    with SignetClient(signet.url, behind_proxy=True) as client, ThreadPoolExecutor(CLIENTS) as pool:
        newest = list(pool.map(check_account, record.acknowledged))
        for email in record.unanswered:
            check_complete_or_absent(client, email)
    return newest


def check_complete_or_absent(client: SignetClient, email: str) -> None:
    """Checks that a sign-up without a response was stored completely or not at all."""
    logged_in = client.log_in(email)
    if logged_in.status_code != 200:
        assert logged_in.status_code == 401, logged_in.text
        assert client.sign_up(email).status_code == 201


def test_used_refresh_token_stays_used_after_kill_9(signet: Signet) -> None:
    signet.settings["SIGNET_TRUSTED_PROXIES"] = "127.0.0.1/32"
    signet.settings["SIGNET_REFRESH_RETRY_SECONDS"] = "0"
    signet.start()
    with SignetClient(signet.url, behind_proxy=True) as client:
        first = Tokens.of(client.sign_up(random_email()), 201)
        second = Tokens.of(client.refresh(first.refresh_token), 200)
        other = Tokens.of(client.sign_up(random_email()), 201)
        assert client.log_out(other.access_token).status_code == 200

    signet.kill()
    signet.start()

    with SignetClient(signet.url, behind_proxy=True) as client:
        assert client.refresh(other.refresh_token).status_code == 401
        assert client.refresh(first.refresh_token).status_code == 401
        # The reuse of the first token ended the session. That survives another crash.
        signet.kill()
        signet.start()
    with SignetClient(signet.url, behind_proxy=True) as client:
        assert client.refresh(second.refresh_token).status_code == 401

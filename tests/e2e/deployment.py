"""Signet, the task API and a recording proxy between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

from clients import SignetClient, Tokens, random_email
from databases import Database
from forgery import claims_of
from processes import ProcessKiller, Signet, TaskApi
from recording_proxy import RecordingProxy

JWKS_PATH = "/.well-known/jwks.json"
STATUS_TTL = 3


@dataclass
class Deployment:
    """Signet and a task API. The task API reaches Signet through a recording proxy."""

    signet: Signet
    proxy: RecordingProxy
    task_api: TaskApi
    front_end: SignetClient
    http: httpx.Client

    def sign_up(self) -> Tokens:
        return Tokens.of(self.front_end.sign_up(random_email()), 201)

    def tasks(self, user_id: str, token: str | None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.get(f"{self.task_api.url}/api/{user_id}/tasks", headers=headers)

    def assert_refused(self, user_id: str, token: str | None) -> None:
        answer = self.tasks(user_id, token)
        assert answer.status_code == 401, f"{answer.status_code}: {answer.text}"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert set(answer.json()) == {"error", "meta"}

    def list_path(self, token: str) -> str:
        uri: str = claims_of(token)["status"]["status_list"]["uri"]
        return uri.removeprefix(self.signet.issuer)

    def assert_only_keys_and_lists_were_fetched(self, token: str) -> None:
        """Asserts that the task API fetched only the key set and the status list of `token`.

        The list must have been fetched at most once per `ttl`.
        """
        list_path = self.list_path(token)
        assert {(call.method, call.path) for call in self.proxy.calls} == {
            ("GET", JWKS_PATH),
            ("GET", list_path),
        }
        # The proxy records arrival times, so one call may be recorded late.
        times = [call.at for call in self.proxy.calls if call.path == list_path]
        assert all(later - earlier > STATUS_TTL - 0.5 for earlier, later in pairwise(times))

    def fetches(self, path: str) -> int:
        return sum(call.path == path for call in self.proxy.calls)


@contextmanager
def start_deployment(
    directory: Path, database: Database, kill_later: ProcessKiller, kind: type[TaskApi] = TaskApi
) -> Iterator[Deployment]:
    """Starts Signet, the proxy and the task API."""
    with RecordingProxy() as proxy, httpx.Client(timeout=10) as http:
        signet = kill_later(
            Signet(
                directory,
                database,
                SIGNET_ISSUER=proxy.url,
                SIGNET_TRUSTED_PROXIES="127.0.0.1/32",
                SIGNET_STATUS_TTL_SECONDS=str(STATUS_TTL),
            )
        )
        proxy.upstream = signet.url
        signet.start()
        task_api = kill_later(
            kind(directory, signet.issuer, signet.audience, TOKEN_LEEWAY_SECONDS="0")
        )
        task_api.start()
        # The front end calls Signet directly, so the proxy records only the task API's requests.
        with SignetClient(signet.url, behind_proxy=True) as front_end:
            yield Deployment(signet, proxy, task_api, front_end, http)

"""Sends requests to a recipe at a constant rate and records the responses."""

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

TIMEOUT = 5.0
NO_ANSWER = 0


@dataclass(frozen=True)
class Answer:
    """The response to a request. Status 0 is no response within the timeout."""

    at: float
    status: int
    body: str = ""
    kid: str = ""


class Caller:
    """A client that sends `GET /whoami` on a persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def whoami(self, token: str | None) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        at = time.monotonic()
        # The service may have closed a reused connection, so the request is sent again once.
        for _ in range(2):
            reused = self._connection is not None
            try:
                status, body = self._send(headers)
                return Answer(at, status, body)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not reused or isinstance(error, TimeoutError):
                    break
        return Answer(at, NO_ANSWER)

    def _send(self, headers: dict[str, str]) -> tuple[int, str]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        self._connection.request("GET", "/whoami", headers=headers)
        response = self._connection.getresponse()
        return response.status, response.read().decode(errors="replace").strip()

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None


class Load:
    """Sends `rate` requests a second from several threads, until the block ends.

    `choose` returns the token of each request and a label for it, such as its `kid`.
    """

    def __init__(self, port: int, rate: int, choose: Callable[[], tuple[str, str]]) -> None:
        self.answers: list[Answer] = []
        self._choose = choose
        self._stop = threading.Event()
        # At most four requests per thread and second, so that a slow response delays few others.
        threads = max(1, rate // 4)
        self._pause = threads / rate
        self._threads = [
            threading.Thread(target=self._run, args=[port, number / rate], daemon=True)
            for number in range(threads)
        ]

    def _run(self, port: int, delay: float) -> None:
        caller = Caller(port)
        due = time.monotonic() + delay
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            token, kid = self._choose()
            answer = caller.whoami(token)
            self.answers.append(Answer(answer.at, answer.status, answer.body, kid))
            # Requests that are behind schedule are omitted.
            due = max(due + self._pause, time.monotonic())
        caller.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)

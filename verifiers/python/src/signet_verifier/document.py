"""A document that is kept in memory and fetched again when it is old."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from signet_verifier.fetching import Answer, FetchError

log = logging.getLogger("signet_verifier")

DEFAULT_LIFETIME = 300.0
"""In seconds, for what does not say how long it may be kept."""

RETRY_PAUSE = 5.0
"""In seconds, from a fetch that failed to the next attempt."""

PATIENCE = 1.0
"""In seconds, from the start of a fetch: for who could go on with what is held."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Held(Generic[_T]):
    """What was fetched last. Replaced as a whole: what Signet has withdrawn is gone from it."""

    value: _T
    etag: str | None
    since: float
    lifetime: float


class Document(Generic[_T]):
    """Fetched by one task at a time, for which everybody waits who needs it, and briefly who might.

    A fetch that fails keeps what is held. Ages are measured on the monotonic clock: a host whose
    time of day is set neither keeps anything for years nor fetches without end.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[str | None], Awaitable[Answer]],
        read: Callable[[bytes], Awaitable[_T]],
        lifetime: Callable[[_T, Answer], float],
        monotonic: Callable[[], float],
        first_retry_pause: float = RETRY_PAUSE,
    ) -> None:
        """`fetch` is given the ETag of what is held; `read` raises for what it does not believe;
        `lifetime` is in seconds. `first_retry_pause` holds while nothing has been fetched."""
        self._name = name
        self._fetch = fetch
        self._read = read
        self._lifetime = lifetime
        self._monotonic = monotonic
        self._first_retry_pause = first_retry_pause
        self._began_at = float("-inf")
        self._patience_ends = float("-inf")  # on the clock of the event loop
        self._retry_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.held: Held[_T] | None = None

    def is_old(self) -> bool:
        """Whether there is nothing, or only something that has outlived its lifetime."""
        held = self.held
        return held is None or self._monotonic() - held.since >= held.lifetime

    async def refresh(
        self, *, cooldown: float = 0, whole: bool = False, briefly: bool = False
    ) -> None:
        """Waits for the fetch that is under way, or for one of its own if it may begin one.

        It may once the pause after a failure is over and the last fetch began at least `cooldown`
        seconds ago. `whole`: not even what Signet says is unchanged is of use.
        `briefly`: what is held will do if the fetch takes longer than `PATIENCE`; it goes on.
        """
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            now = self._monotonic()
            if now < self._retry_at or now - self._began_at < cooldown:
                return
            self._began_at = now
            self._patience_ends = loop.time() + PATIENCE
            self._task = asyncio.create_task(self._run(None if whole else self.held))
        # Unlike `await`, this cancels nothing if a waiter is cancelled: the others still wait.
        timeout = max(0.0, self._patience_ends - loop.time()) if briefly else None
        await asyncio.wait([self._task], timeout=timeout)

    async def aclose(self) -> None:
        """Gives up the fetch that is under way."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, known: Held[_T] | None) -> None:
        since = self._began_at
        try:
            answer = await self._fetch(None if known is None else known.etag)
            self.held = await self._take(answer, known, since)
        except Exception as error:  # noqa: BLE001  whatever it is, what is held is kept
            log.warning("could not fetch %s: %s", self._name, str(error) or repr(error))
            pause = self._first_retry_pause if self.held is None else RETRY_PAUSE
            self._retry_at = self._monotonic() + pause

    async def _take(self, answer: Answer, known: Held[_T] | None, since: float) -> Held[_T]:
        if answer.body is not None:
            value, etag = await self._read(answer.body), answer.etag
        elif known is not None:
            value, etag = known.value, known.etag
        else:
            raise FetchError("unchanged, but nothing was there")
        return Held(value, etag, since, self._lifetime(value, answer))

"""A document that is cached in memory and fetched again when it is stale."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from signet_verifier.fetching import Answer, FetchError

log = logging.getLogger("signet_verifier")

DEFAULT_LIFETIME = 300.0
"""In seconds, for responses that do not specify a lifetime."""

RETRY_PAUSE = 5.0
"""In seconds, from a failed fetch to the next attempt."""

STALE_WAIT_SECONDS = 1.0
"""How long callers that can use the cached copy wait for a fetch, from its start."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CacheEntry(Generic[_T]):
    """The last fetched document. A new one replaces it as a whole, so withdrawn keys go, too."""

    value: _T
    etag: str | None
    fetched_at: float
    lifetime: float


class Document(Generic[_T]):
    """A document that only one task at a time fetches.

    Callers that need the result wait for the task, and callers that can use the cached copy wait
    briefly. A failed fetch does not change the cached copy. Ages are measured on the monotonic
    clock, so setting the host's clock neither keeps a copy for years nor causes endless fetches.
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
        """`fetch` is given the ETag of the cached copy. `read` raises an error for an invalid
        document. `lifetime` is in seconds. `first_retry_pause` applies until the first successful
        fetch."""
        self._name = name
        self._fetch = fetch
        self._read = read
        self._lifetime = lifetime
        self._monotonic = monotonic
        self._first_retry_pause = first_retry_pause
        self._started_at = float("-inf")
        self._stale_wait_ends = float("-inf")  # on the clock of the event loop
        self._retry_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.cached: CacheEntry[_T] | None = None

    def is_stale(self) -> bool:
        """Whether there is no cached copy, or its lifetime has passed."""
        cached = self.cached
        return cached is None or self._monotonic() - cached.fetched_at >= cached.lifetime

    async def refresh(
        self, *, cooldown: float = 0, unconditional: bool = False, wait_briefly: bool = False
    ) -> None:
        """Waits for the fetch in progress, or starts a fetch and waits for it.

        It starts a fetch only if the pause after a failure is over and the last fetch started at
        least `cooldown` seconds ago. `unconditional`: no ETag is sent, because a 304 would be
        useless. `wait_briefly`: returns after `STALE_WAIT_SECONDS`, because the caller can use the
        cached copy; the fetch continues.
        """
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            now = self._monotonic()
            if now < self._retry_at or now - self._started_at < cooldown:
                return
            self._started_at = now
            self._stale_wait_ends = loop.time() + STALE_WAIT_SECONDS
            self._task = asyncio.create_task(self._run(None if unconditional else self.cached))
        # Unlike `await`, this does not cancel the fetch if one waiter is cancelled.
        timeout = max(0.0, self._stale_wait_ends - loop.time()) if wait_briefly else None
        await asyncio.wait([self._task], timeout=timeout)

    async def aclose(self) -> None:
        """Cancels the fetch in progress."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, previous: CacheEntry[_T] | None) -> None:
        fetched_at = self._started_at
        try:
            answer = await self._fetch(None if previous is None else previous.etag)
            self.cached = await self._to_entry(answer, previous, fetched_at)
        except Exception as error:  # noqa: BLE001  the cached copy is still used
            log.warning("could not fetch %s: %s", self._name, str(error) or repr(error))
            pause = self._first_retry_pause if self.cached is None else RETRY_PAUSE
            self._retry_at = self._monotonic() + pause

    async def _to_entry(
        self, answer: Answer, previous: CacheEntry[_T] | None, fetched_at: float
    ) -> CacheEntry[_T]:
        if answer.body is not None:
            value, etag = await self._read(answer.body), answer.etag
        elif previous is not None:
            value, etag = previous.value, previous.etag
        else:
            raise FetchError("not modified, but nothing is cached")
        return CacheEntry(value, etag, fetched_at, self._lifetime(value, answer))

"""One GET request, with limits on size and time."""

import asyncio
import re
from dataclasses import dataclass

import httpx

_NOT_CACHEABLE = re.compile(r"(?:^|[,\s])no-(?:cache|store)(?:$|[,\s=])", re.IGNORECASE)
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,18})', re.IGNORECASE)


class FetchError(Exception):
    """There is no usable response; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable response."""

    body: bytes | None
    """`None` if the cached copy is still valid (304)."""
    etag: str | None = None
    max_age: int | None = None
    """`Cache-Control: max-age`, in seconds; 0 if the response must not be cached."""


class Fetcher:
    """Fetches Signet's documents with an `httpx` client."""

    def __init__(self, client: httpx.AsyncClient, timeout_seconds: float) -> None:
        self._client = client
        self._timeout = timeout_seconds

    async def get(self, url: str, *, accept: str, largest: int, etag: str | None) -> Answer:
        """Fetches `url`, with at most `largest` bytes, within the timeout.

        `etag` is that of the cached copy. Raises `FetchError`, or the client's exceptions.
        """
        # An uncompressed body cannot be a decompression bomb.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            return await asyncio.wait_for(self._get(url, headers, largest), self._timeout)
        except (asyncio.TimeoutError, httpx.TimeoutException) as error:
            raise FetchError(f"no response within {self._timeout:g} s") from error

    async def _get(self, url: str, headers: dict[str, str], largest: int) -> Answer:
        request = self._client.stream(
            "GET", url, headers=headers, follow_redirects=False, timeout=self._timeout
        )
        async with request as response:
            etag, max_age = response.headers.get("ETag"), _max_age(response)
            if response.status_code == 304:
                return Answer(None, etag, max_age)
            if response.status_code != 200:
                raise FetchError(f"status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise FetchError("compressed, although not requested")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > largest:
                    raise FetchError(f"longer than {largest} bytes")
            return Answer(bytes(body), etag, max_age)


def _max_age(response: httpx.Response) -> int | None:
    cache_control = response.headers.get("Cache-Control", "")
    if _NOT_CACHEABLE.search(cache_control):
        return 0
    found = _MAX_AGE.search(cache_control)
    return None if found is None else int(found[1])

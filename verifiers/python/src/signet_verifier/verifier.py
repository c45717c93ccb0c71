"""The verifier of access tokens."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal

import httpx

from signet_verifier.access_token import AccessToken
from signet_verifier.checks import (
    ACCESS_TOKEN_TYPES,
    JWT_TYPES,
    LONGEST_TOKEN,
    Rules,
    StatusReference,
    check_claims,
    check_header,
    check_no_id_token,
    check_status,
    parse_jws,
)
from signet_verifier.errors import TokenRefused, VerificationUnavailable, VerifyError
from signet_verifier.fetching import Fetcher
from signet_verifier.sources import KeySource, StatusSource

log = logging.getLogger("signet_verifier")

LARGEST_LEEWAY = 60.0


class Verifier:
    """Checks access tokens of one issuer for one audience.

    Create one per process: it caches the keys and the status lists. Nothing is fetched before the
    first token arrives. Use it in one event loop only. No check can be turned off.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        base_url: str | None = None,
        accept_typ_jwt: bool = False,
        leeway_seconds: float = 30,
        cooldown_seconds: float = 30,
        when_status_unavailable: Literal["refuse", "accept"] = "refuse",
        timeout_seconds: float = 3,
        http_client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates a verifier. Fetches nothing.

        Args:
            issuer: The `iss` of accepted tokens, byte for byte, including a trailing slash.
            audience: The `aud` that a token must contain: this service.
            base_url: The URL at which Signet is reachable, if it differs from the issuer.
            accept_typ_jwt: Also accepts tokens with `typ` `JWT`, not only `at+jwt` (RFC 9068
                section 4), for an audience in `SIGNET_TYP_JWT_AUDIENCES`. ID tokens have the same
                `typ`, so these tokens must have `client_id`, `jti` and `scope`, and neither `nonce`
                nor `at_hash`.
            leeway_seconds: The accepted difference between the clocks, 0 to 60.
            cooldown_seconds: The minimum time from any fetch of the key set to a fetch for an
                unknown key.
            when_status_unavailable: Whether a token is accepted while its status is unavailable.
            timeout_seconds: The timeout of a fetch.
            http_client: Replaces the internal client. The verifier does not close it.
            clock: The time in seconds since 1970.
            monotonic: A monotonic clock in seconds, for cache ages.

        Raises:
            ValueError: A setting is invalid.
        """
        if not issuer or not audience:
            raise ValueError("issuer and audience must not be empty")
        if not 0 <= leeway_seconds <= LARGEST_LEEWAY:
            raise ValueError(f"leeway_seconds must be from 0 to {LARGEST_LEEWAY:g}")
        if not cooldown_seconds >= 0 or not timeout_seconds > 0:
            raise ValueError("cooldown_seconds must not be negative, timeout_seconds be above 0")
        if when_status_unavailable not in ("refuse", "accept"):
            raise ValueError("when_status_unavailable must be refuse or accept")
        if not isinstance(accept_typ_jwt, bool):
            raise ValueError("accept_typ_jwt must be True or False")
        self._rules = Rules(issuer, audience, leeway_seconds)
        self._types = ACCESS_TOKEN_TYPES | JWT_TYPES if accept_typ_jwt else ACCESS_TOKEN_TYPES
        self._accept_without_status = when_status_unavailable == "accept"
        self._clock = clock
        self._closes_client = http_client is None
        self._client = httpx.AsyncClient() if http_client is None else http_client
        fetcher = Fetcher(self._client, timeout_seconds)
        url = (issuer if base_url is None else base_url).removesuffix("/")
        self._keys = KeySource(url, fetcher, cooldown_seconds, monotonic)
        self._statuses = StatusSource(url, fetcher, self._keys, self._rules, clock, monotonic)

    async def verify(self, token: str) -> AccessToken:
        """Checks `token`. Raises `TokenRefused` or `VerificationUnavailable`."""
        try:
            return await self._verify(token)
        except VerifyError as error:
            log.info("token not accepted: %s", error)
            raise

    async def aclose(self) -> None:
        """Cancels fetches in progress, and closes the connections."""
        await self._statuses.aclose()
        await self._keys.aclose()
        if self._closes_client:
            await self._client.aclose()

    async def __aenter__(self) -> "Verifier":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _verify(self, token: str) -> AccessToken:
        jws = parse_jws(token, LONGEST_TOKEN)
        typ = check_header(jws.header, self._types)
        key = await self._keys.find(jws.kid)
        if not key.verifies(jws.signed, jws.signature):
            raise TokenRefused("bad_signature")
        if typ in JWT_TYPES:
            check_no_id_token(jws.payload)
        access_token, status = check_claims(jws.payload, self._rules, self._clock())
        if status is not None:
            await self._check_status(status)
        return access_token

    async def _check_status(self, reference: StatusReference) -> None:
        status_list = await self._statuses.find(reference.uri)
        if status_list is not None:
            check_status(status_list.status(reference.idx))
        elif not self._accept_without_status:
            raise VerificationUnavailable("status_unavailable")

"""Redirects, oversized, slow and failed responses to a fetch."""

import asyncio
import gzip
import logging
import time

import httpx
import pytest
from fake_signet import KEYS_URL, LIST_URL, Body, Signet
from outcome import outcome

from signet_verifier import Verifier

MEBIBYTE = 1024 * 1024


async def test_redirects_are_not_followed(signet: Signet) -> None:
    away = "https://evil.example.test/jwks.json"
    signet.answers[KEYS_URL] = httpx.Response(302, headers={"Location": away})
    signet.answers[away] = httpx.Response(200, content=signet.jwks())
    client = httpx.AsyncClient(transport=signet, follow_redirects=True)
    async with client, signet.verifier(http_client=client) as verifier:
        assert await outcome(verifier, signet.token()) == "keys_unavailable"

    assert [str(request.url) for request in signet.requests] == [KEYS_URL]


@pytest.mark.parametrize(
    ("url", "limit", "expected"),
    [
        (KEYS_URL, MEBIBYTE // 4, "keys_unavailable"),
        (LIST_URL, 2 * MEBIBYTE, "status_unavailable"),
    ],
)
async def test_oversized_body_is_not_read_to_its_end(
    signet: Signet, verifier: Verifier, url: str, limit: int, expected: str
) -> None:
    body = Body(b" " * 65_536, repeat=16_384)
    signet.answers[url] = httpx.Response(200, stream=body)

    assert await outcome(verifier, signet.token()) == expected
    assert body.sent <= limit + 65_536


async def test_body_of_the_maximum_size_is_read(signet: Signet, verifier: Verifier) -> None:
    jwks = signet.jwks()
    full = jwks + b" " * (MEBIBYTE // 4 - len(jwks))
    signet.answers[KEYS_URL] = httpx.Response(200, stream=Body(full))

    assert await outcome(verifier, signet.token()) == "accepted"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity, gzip"])
async def test_compressed_body_is_not_decompressed(
    signet: Signet, verifier: Verifier, coding: str
) -> None:
    bomb = Body(gzip.compress(bytes(64 * MEBIBYTE)))
    signet.answers[KEYS_URL] = httpx.Response(
        200, headers={"Content-Encoding": coding}, stream=bomb
    )

    assert await outcome(verifier, signet.token()) == "keys_unavailable"
    assert bomb.sent == 0
    assert signet.requests[0].headers["Accept-Encoding"] == "identity"


class Trickle(httpx.AsyncByteStream):
    async def __aiter__(self):  # type: ignore[no-untyped-def]
        while True:
            await asyncio.sleep(0.02)
            yield b" "


async def test_slow_body_times_out(signet: Signet) -> None:
    signet.answers[KEYS_URL] = httpx.Response(200, stream=Trickle())
    async with signet.verifier(timeout_seconds=0.2) as verifier:
        started = time.monotonic()

        assert await outcome(verifier, signet.token()) == "keys_unavailable"
        assert 0.15 < time.monotonic() - started < 1


@pytest.mark.parametrize("status", [204, 206, 301, 304, 401, 404, 500, 503])
async def test_only_a_complete_response_is_accepted(
    signet: Signet, verifier: Verifier, status: int
) -> None:
    signet.answers[KEYS_URL] = httpx.Response(status, content=signet.jwks())

    assert await outcome(verifier, signet.token()) == "keys_unavailable"


async def test_any_exception_of_the_http_client_is_a_failed_fetch(
    signet: Signet, verifier: Verifier
) -> None:
    """The retry pause applies, and no token is rejected for it while keys are cached."""
    token = signet.token(status=None)
    assert await outcome(verifier, token) == "accepted"
    signet.clocks.advance(300)
    signet.error = OSError("a custom transport failed")

    assert [await outcome(verifier, token) for _ in range(5)] == ["accepted"] * 5
    assert signet.fetches(KEYS_URL) == 2


async def test_failed_fetch_is_logged_once(
    signet: Signet, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    signet.is_up = False
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await outcome(verifier, signet.token())

    assert [record.getMessage() for record in caplog.records] == [
        f"could not fetch {KEYS_URL}: refused"
    ]


async def test_log_contains_the_rejection_reason_and_no_token(
    signet: Signet, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    await verifier.verify(signet.token())
    caplog.clear()
    tokens = [
        signet.token(kid="kid-of-a-stranger"),
        signet.token(iss="https://stranger.test"),
        signet.token(client_id=7),
        "not-a-token",
    ]
    with caplog.at_level(logging.DEBUG, logger="signet_verifier"):
        for token in tokens:
            await outcome(verifier, token)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "token not accepted: unknown_key"),
        ("INFO", "token not accepted: wrong_issuer"),
        ("INFO", "token not accepted: invalid_claim (client_id)"),
        ("INFO", "token not accepted: malformed"),
    ]

"""When the key set is fetched, and when it is not."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from fake_signet import ISSUER, KEYS_URL, LIST_URL, SECOND_KEY, START, Signet
from outcome import outcome

from signet_verifier import VerificationUnavailable, Verifier

CLIENT_CREDENTIALS: dict[str, Any] = {"status": None, "user_id": None}


async def test_hundred_concurrent_tokens_cause_one_fetch_per_document(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token()

    outcomes = await asyncio.gather(*(outcome(verifier, token) for _ in range(100)))

    assert outcomes == ["accepted"] * 100
    assert signet.fetches(KEYS_URL) == signet.fetches(LIST_URL) == 1


async def test_key_set_is_cached_for_its_max_age(signet: Signet, verifier: Verifier) -> None:
    signet.headers = {"Cache-Control": "public, max-age=60"}
    token = signet.token(**CLIENT_CREDENTIALS)
    assert await outcome(verifier, token) == "accepted"

    signet.clocks.advance(59)
    assert await outcome(verifier, token) == "accepted"
    assert signet.fetches() == 1
    signet.clocks.advance(1)
    assert await outcome(verifier, token) == "accepted"

    assert signet.fetches() == 2


@pytest.mark.parametrize(
    ("cache_control", "lifetime"),
    [
        (None, 300),
        ("no-cache", 1),
        ("no-store", 1),
        ("private,No-Store, max-age=120", 1),
        ('max-age=120, no-cache="Set-Cookie"', 1),
        ("no-cached, x-no-store", 300),
        ("s-maxage=7", 300),
        ("max-age=many", 300),
        ("max-age=0", 1),
        ("MAX-AGE=20", 20),
        ("private,max-age=20", 20),
        ("max-age=99999999999999999999999", 86_400),
    ],
)
async def test_max_age_is_bounded_and_has_a_default(
    signet: Signet, verifier: Verifier, cache_control: str | None, lifetime: int
) -> None:
    signet.headers = {} if cache_control is None else {"Cache-Control": cache_control}
    token = signet.token(**CLIENT_CREDENTIALS, exp=START + 100_000)
    await verifier.verify(token)

    signet.clocks.advance(lifetime - 0.5)
    await verifier.verify(token)
    assert signet.fetches() == 1
    signet.clocks.advance(0.5)
    await verifier.verify(token)

    assert signet.fetches() == 2


async def test_removed_key_is_rejected_after_the_next_fetch(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token(**CLIENT_CREDENTIALS)
    assert await outcome(verifier, token) == "accepted"

    signet.keys = {"second": SECOND_KEY}
    signet.clocks.advance(300)

    assert await outcome(verifier, token) == "unknown_key"
    assert await outcome(verifier, signet.token("second", **CLIENT_CREDENTIALS)) == "accepted"


async def test_not_modified_renews_the_cached_key_set(signet: Signet, verifier: Verifier) -> None:
    token = signet.token(**CLIENT_CREDENTIALS)
    await verifier.verify(token)
    for _ in range(2):
        signet.clocks.advance(300)
        await verifier.verify(token)
    signet.clocks.advance(299)
    await verifier.verify(token)

    assert signet.http_statuses == [200, 304, 304]


async def test_thousand_unknown_kids_cause_one_fetch_per_cool_down(
    signet: Signet, verifier: Verifier
) -> None:
    await verifier.verify(signet.token(**CLIENT_CREDENTIALS))
    signet.clocks.advance(30)
    made_up = [signet.token(secrets.token_hex(8), **CLIENT_CREDENTIALS) for _ in range(1000)]

    outcomes = await asyncio.gather(*(outcome(verifier, token) for token in made_up[:500]))
    for token in made_up[500:]:
        signet.clocks.advance(29 / 500)
        outcomes.append(await outcome(verifier, token))

    assert set(outcomes) == {"unknown_key"}
    assert signet.fetches() == 2


async def test_new_key_is_fetched_after_the_cool_down(signet: Signet, verifier: Verifier) -> None:
    await verifier.verify(signet.token(**CLIENT_CREDENTIALS))
    signet.keys["second"] = SECOND_KEY
    new = signet.token("second", **CLIENT_CREDENTIALS)

    signet.clocks.advance(29)
    assert await outcome(verifier, new) == "unknown_key"
    signet.clocks.advance(1)

    assert await outcome(verifier, new) == "accepted"


async def test_cool_down_applies_to_unknown_kids_while_signet_is_down(
    signet: Signet, verifier: Verifier
) -> None:
    await verifier.verify(signet.token(**CLIENT_CREDENTIALS))
    signet.is_up = False
    for _ in range(29):
        signet.clocks.advance(1)
        assert await outcome(verifier, signet.token(secrets.token_hex(8))) == "unknown_key"
    assert signet.fetches() == 1
    signet.clocks.advance(1)
    assert await outcome(verifier, signet.token(secrets.token_hex(8))) == "unknown_key"

    assert signet.fetches() == 2


async def test_stale_keys_are_used_and_refetched_after_each_pause(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token(**CLIENT_CREDENTIALS, exp=START + 10**7)
    await verifier.verify(token)
    signet.is_up = False

    signet.clocks.advance(10**6)
    for _ in range(10):
        assert await outcome(verifier, token) == "accepted"
    assert signet.fetches() == 2
    signet.clocks.advance(4.9)
    await verifier.verify(token)
    assert signet.fetches() == 2
    signet.clocks.advance(0.1)
    await verifier.verify(token)

    assert signet.fetches() == 3


async def test_without_keys_fetches_are_retried_each_second(
    signet: Signet, verifier: Verifier
) -> None:
    signet.is_up = False
    token = signet.token(**CLIENT_CREDENTIALS)
    for _ in range(5):
        with pytest.raises(VerificationUnavailable, match="keys_unavailable"):
            await verifier.verify(token)
    assert signet.fetches() == 1

    signet.clocks.advance(1)
    assert await outcome(verifier, token) == "keys_unavailable"
    assert signet.fetches() == 2
    signet.is_up = True
    signet.clocks.advance(1)

    assert await outcome(verifier, token) == "accepted"


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b"<html>", b"\xff"])
async def test_invalid_key_set_does_not_replace_the_cached_one(
    signet: Signet, verifier: Verifier, document: bytes
) -> None:
    token = signet.token(**CLIENT_CREDENTIALS)
    await verifier.verify(token)
    signet.clocks.advance(300)
    signet.answers[KEYS_URL] = httpx.Response(200, content=document)

    assert await outcome(verifier, token) == "accepted"
    assert signet.fetches() == 2


async def test_clock_set_back_does_not_change_the_cache_age(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token(**CLIENT_CREDENTIALS)
    await verifier.verify(token)

    signet.clocks.monotonic += 300
    await verifier.verify(token)

    assert signet.fetches() == 2


async def test_cache_age_counts_from_the_start_of_the_fetch(
    signet: Signet, verifier: Verifier
) -> None:
    """A response does not contain sessions that ended while it was in transit."""
    token = signet.token()
    await verifier.verify(token)
    signet.clocks.advance(300)
    signet.gate = asyncio.Event()
    waiter = asyncio.create_task(outcome(verifier, token))
    await asyncio.sleep(0.01)
    signet.clocks.advance(2)
    signet.gate.set()
    assert await waiter == "accepted"

    signet.clocks.advance(8)
    assert await outcome(verifier, token) == "accepted"
    assert (signet.fetches(KEYS_URL), signet.fetches(LIST_URL)) == (2, 2)
    signet.clocks.advance(2)
    assert await outcome(verifier, token) == "accepted"
    assert (signet.fetches(KEYS_URL), signet.fetches(LIST_URL)) == (2, 3)
    signet.clocks.advance(288)
    assert await outcome(verifier, token) == "accepted"

    assert signet.fetches(KEYS_URL) == 3


async def test_refresh_of_usable_keys_delays_requests_briefly(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token(**CLIENT_CREDENTIALS)
    await verifier.verify(token)
    signet.keys = {"second": SECOND_KEY}
    new = signet.token("second", **CLIENT_CREDENTIALS)
    signet.clocks.advance(300)
    signet.gate = asyncio.Event()

    assert await asyncio.wait_for(outcome(verifier, token), 2) == "accepted"
    waiter = asyncio.create_task(outcome(verifier, new))
    await asyncio.sleep(0.05)
    assert not waiter.done(), "a request with an unknown key waits"
    signet.gate.set()

    assert await waiter == "accepted"
    assert await outcome(verifier, token) == "unknown_key"
    assert signet.fetches() == 2


async def test_cancelled_request_does_not_cancel_others(signet: Signet, verifier: Verifier) -> None:
    signet.gate = asyncio.Event()
    token = signet.token(**CLIENT_CREDENTIALS)
    waiters = [asyncio.create_task(outcome(verifier, token)) for _ in range(3)]
    await asyncio.sleep(0.01)

    # The first of them started the fetch.
    waiters[0].cancel()
    await asyncio.sleep(0.01)
    signet.gate.set()

    assert await asyncio.gather(*waiters[1:]) == ["accepted"] * 2
    assert waiters[0].cancelled()
    assert signet.fetches() == 1


async def test_close_cancels_the_fetch_in_progress(signet: Signet) -> None:
    signet.gate = asyncio.Event()
    verifier = signet.verifier()
    waiter = asyncio.create_task(outcome(verifier, signet.token()))
    await asyncio.sleep(0.01)

    await verifier.aclose()

    assert await waiter == "keys_unavailable"


async def test_base_url_is_fetched_instead_of_the_issuer(
    signet: Signet,
) -> None:
    inside = "http://signet.internal:8080/id"
    signet.answers[f"{inside}/.well-known/jwks.json"] = httpx.Response(200, content=signet.jwks())
    signet.answers[f"{inside}/status/1"] = httpx.Response(200, content=signet.list_token())

    for base_url in (inside, inside + "/"):
        async with signet.verifier(base_url=base_url) as verifier:
            assert await outcome(verifier, signet.token()) == "accepted"

    assert not any(str(request.url).startswith(ISSUER) for request in signet.requests)


async def test_trailing_slash_of_the_issuer_is_not_doubled(signet: Signet) -> None:
    issuer = f"{ISSUER}/"
    uri = f"{issuer}/status/1"
    signet.list_claims = {"iss": issuer, "sub": uri}
    token = signet.token(iss=issuer, status={"status_list": {"idx": 3, "uri": uri}})

    async with signet.verifier(issuer=issuer) as verifier:
        assert await outcome(verifier, token) == "accepted"

    assert [str(request.url) for request in signet.requests] == [KEYS_URL, LIST_URL]


async def test_only_one_trailing_slash_is_dropped(signet: Signet) -> None:
    async with signet.verifier(base_url="http://signet.internal//") as verifier:
        await outcome(verifier, signet.token())

    assert str(signet.requests[0].url) == "http://signet.internal//.well-known/jwks.json"


@pytest.mark.parametrize(
    "setting",
    [
        {"issuer": ""},
        {"audience": ""},
        {"leeway_seconds": -1},
        {"leeway_seconds": 61},
        {"cooldown_seconds": -1},
        {"timeout_seconds": 0},
        {"when_status_unavailable": "ignore"},
        {"accept_typ_jwt": "false"},
    ],
)
def test_invalid_setting_is_rejected(signet: Signet, setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        signet.verifier(**setting)


async def test_retry_pause_starts_when_a_fetch_times_out(signet: Signet) -> None:
    """Otherwise attempts would follow each other while the issuer does not respond."""
    signet.gate = asyncio.Event()
    async with signet.verifier(timeout_seconds=0.05) as verifier:
        attempt = asyncio.create_task(outcome(verifier, signet.token()))
        await asyncio.sleep(0.01)
        signet.clocks.advance(3)
        assert await attempt == "keys_unavailable"

        assert await outcome(verifier, signet.token()) == "keys_unavailable"
        assert signet.fetches() == 1
        signet.clocks.advance(1)
        assert await outcome(verifier, signet.token()) == "keys_unavailable"
        assert signet.fetches() == 2

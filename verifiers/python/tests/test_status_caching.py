"""When a status list is fetched, how long it is used, and what happens without one."""

import asyncio
import zlib

import httpx
import pytest
from fake_signet import ISSUER, LIST_URL, SECOND_KEY, START, Signet, encode, sign
from outcome import outcome

from signet_verifier import VerificationUnavailable, Verifier
from signet_verifier.sources import MAX_LISTS


async def test_logout_takes_effect_with_the_next_list(signet: Signet, verifier: Verifier) -> None:
    ended, going_on = signet.token(), signet.token(status=at(4))
    assert await outcome(verifier, ended) == "accepted"
    signet.revoke(3)

    signet.clocks.advance(9.9)
    assert await outcome(verifier, ended) == "accepted"
    assert signet.fetches(LIST_URL) == 1, "once per ttl"
    signet.clocks.advance(0.1)

    assert await outcome(verifier, ended) == "revoked"
    assert await outcome(verifier, going_on) == "accepted"
    assert signet.fetches(LIST_URL) == 2


async def test_list_without_ttl_is_cached_for_five_minutes(
    signet: Signet, verifier: Verifier
) -> None:
    signet.list_claims = {"ttl": None}
    token = signet.token()
    await verifier.verify(token)

    signet.clocks.advance(299)
    await verifier.verify(token)
    assert signet.fetches(LIST_URL) == 1
    signet.clocks.advance(1)
    await verifier.verify(token)

    assert signet.fetches(LIST_URL) == 2


@pytest.mark.parametrize("ttl", [86_401, 1e300, 10**30])
async def test_ttl_is_capped_at_a_day(signet: Signet, verifier: Verifier, ttl: float) -> None:
    signet.list_claims = {"ttl": ttl, "exp": START + 1_000_000}
    token = signet.token(exp=START + 1_000_000)
    await verifier.verify(token)
    signet.revoke(3)

    signet.clocks.advance(86_399)
    assert await outcome(verifier, token) == "accepted"
    assert signet.fetches(LIST_URL) == 1
    signet.clocks.advance(1)

    assert await outcome(verifier, token) == "revoked"


async def test_not_modified_renews_the_cached_list(signet: Signet, verifier: Verifier) -> None:
    signet.list_claims = {"exp": None}
    token = signet.token()
    await verifier.verify(token)
    for _ in range(3):
        signet.clocks.advance(10)
        assert await outcome(verifier, token) == "accepted"

    assert signet.fetches(LIST_URL) == 4
    assert signet.http_statuses == [200, 200, 304, 304, 304]


async def test_expired_list_is_fetched_unconditionally(signet: Signet, verifier: Verifier) -> None:
    token = signet.token()
    await verifier.verify(token)

    signet.clocks.advance(631)

    assert await outcome(verifier, token) == "accepted"
    list_statuses = signet.http_statuses[1], signet.http_statuses[3]
    assert list_statuses == (200, 200)


async def test_cached_list_is_used_until_exp_while_signet_is_down(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token()
    signet.revoke(5)
    await verifier.verify(token)
    signet.is_up = False

    signet.clocks.advance(629)
    assert await outcome(verifier, token) == "accepted"
    assert await outcome(verifier, signet.token(status=at(5))) == "revoked"
    signet.clocks.advance(1)

    assert await outcome(verifier, token) == "status_unavailable", "exp plus the leeway has passed"


async def test_list_without_exp_is_used_until_its_ttl_has_passed(
    signet: Signet, verifier: Verifier
) -> None:
    signet.list_claims = {"exp": None}
    token = signet.token()
    await verifier.verify(token)
    signet.is_up = False

    signet.clocks.advance(9.9)
    assert await outcome(verifier, token) == "accepted"
    signet.clocks.advance(0.1)

    assert await outcome(verifier, token) == "status_unavailable"


async def test_refresh_of_a_usable_list_delays_requests_briefly(
    signet: Signet, verifier: Verifier
) -> None:
    token = signet.token()
    await verifier.verify(token)
    signet.revoke(3)
    signet.clocks.advance(10)
    signet.gate = asyncio.Event()

    assert await asyncio.wait_for(outcome(verifier, token), 2) == "accepted"
    for _ in range(20):  # the maximum wait is already over
        assert await asyncio.wait_for(outcome(verifier, token), 0.5) == "accepted"
    assert signet.fetches(LIST_URL) == 2

    signet.gate.set()
    await asyncio.sleep(0.05)
    assert await outcome(verifier, token) == "revoked", "the late response is used"
    assert signet.fetches(LIST_URL) == 2


async def test_without_a_usable_list_all_requests_wait(signet: Signet, verifier: Verifier) -> None:
    token = signet.token()
    await verifier.verify(token)
    signet.revoke(3)
    signet.clocks.advance(631)
    signet.headers = {"Cache-Control": "max-age=10000"}
    await verifier.verify(signet.token(status=None))
    signet.gate = asyncio.Event()

    waiter = asyncio.create_task(outcome(verifier, token))
    await asyncio.sleep(1.2)
    assert not waiter.done()
    signet.gate.set()

    assert await waiter == "revoked"


async def test_failed_fetch_is_followed_by_a_pause(signet: Signet, verifier: Verifier) -> None:
    signet.answers[LIST_URL] = httpx.Response(500)
    token = signet.token()
    for _ in range(10):
        with pytest.raises(VerificationUnavailable, match="status_unavailable"):
            await verifier.verify(token)
    assert signet.fetches(LIST_URL) == 1

    del signet.answers[LIST_URL]
    signet.clocks.advance(4.9)
    assert await outcome(verifier, token) == "status_unavailable"
    signet.clocks.advance(0.1)

    assert await outcome(verifier, token) == "accepted"
    assert signet.fetches(LIST_URL) == 2


async def test_fail_open_accepts_tokens_without_a_list(signet: Signet) -> None:
    signet.answers[LIST_URL] = httpx.Response(500)
    async with signet.verifier(when_status_unavailable="accept") as verifier:
        assert await outcome(verifier, signet.token()) == "accepted"
        del signet.answers[LIST_URL]
        signet.revoke(3)
        signet.clocks.advance(5)

        assert await outcome(verifier, signet.token()) == "revoked", "an available list applies"


async def test_client_credentials_token_needs_no_list(signet: Signet, verifier: Verifier) -> None:
    assert await outcome(verifier, signet.token(status=None, user_id=None)) == "accepted"
    assert signet.fetches(LIST_URL) == 0


async def test_list_with_a_wrong_sub_is_rejected(signet: Signet, verifier: Verifier) -> None:
    """A list is bound to its `uri` by `sub`: one list cannot replace another."""
    elsewhere = f"{ISSUER}/status/2"
    signet.answers[elsewhere] = httpx.Response(200, content=signet.list_token())

    assert await outcome(verifier, signet.token(status=at(0, elsewhere))) == "status_unavailable"


async def test_list_uri_outside_the_issuer_is_not_fetched(
    signet: Signet, verifier: Verifier
) -> None:
    for uri in (f"{ISSUER}.evil.test/1", "https://evil.test/1", f"{ISSUER}@evil.test/1", ISSUER):
        assert await outcome(verifier, signet.token(status=at(0, uri))) == "invalid_claim"
    for uri in (f"{ISSUER}/@evil.test/1", f"{ISSUER}//evil.test/1", f"{ISSUER}/\\evil.test\n"):
        assert await outcome(verifier, signet.token(status=at(0, uri))) == "status_unavailable"

    assert {request.url.host for request in signet.requests} == {"id.example.test"}


async def test_at_most_64_lists_are_cached(signet: Signet, verifier: Verifier) -> None:
    def serve(number: int) -> str:
        uri = f"{ISSUER}/status/{number + 100}"
        signet.list_claims = {"sub": uri, "ttl": 3000}
        signet.answers[uri] = httpx.Response(200, content=signet.list_token())
        return signet.token(status=at(0, uri))

    async def fetches(tokens: list[str]) -> int:
        before = len(signet.requests)
        for token in tokens:
            assert await outcome(verifier, token) == "accepted"
        return len(signet.requests) - before

    first, second, *others = (serve(number) for number in range(MAX_LISTS))
    one_more = serve(MAX_LISTS)

    assert await fetches([first, second, *others]) == 1 + MAX_LISTS, "the keys, and each list"
    assert await fetches([first, *others]) == 0
    assert await fetches([one_more, first, *others]) == 1
    assert await fetches([second]) == 1, "the least recently used list was evicted"


async def test_list_signed_by_another_key_is_rejected(signet: Signet, verifier: Verifier) -> None:
    now = int(signet.clocks.now)
    packed = {"bits": 1, "lst": encode(zlib.compress(bytes(16)))}
    claims = {"sub": LIST_URL, "iat": now, "status_list": packed}
    header = {"typ": "statuslist+jwt", "kid": "first"}

    forged = sign(claims, header, SECOND_KEY).encode()
    signet.answers[LIST_URL] = httpx.Response(200, content=forged)
    assert await outcome(verifier, signet.token()) == "status_unavailable"

    genuine = sign(claims, header).encode()
    signet.answers[LIST_URL] = httpx.Response(200, content=genuine)
    signet.clocks.advance(5)
    assert await outcome(verifier, signet.token()) == "accepted"


async def test_list_signed_by_an_unknown_key_is_rejected(
    signet: Signet, verifier: Verifier
) -> None:
    claims = {"sub": LIST_URL, "iat": int(signet.clocks.now), "status_list": {}}
    forged = sign(claims, {"typ": "statuslist+jwt", "kid": "made-up"})
    signet.answers[LIST_URL] = httpx.Response(200, content=forged.encode())

    assert await outcome(verifier, signet.token()) == "status_unavailable"


def at(idx: int, uri: str = LIST_URL) -> dict[str, object]:
    return {"status_list": {"idx": idx, "uri": uri}}

"""Compares the cost of a verification with RSA alone and with PyJWT.

Run it with `python benches/verify.py`. In each round every contestant runs once for the same number
of calls, so that a slow period of the machine affects all of them. The token is a user's token of
typical size.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fake_signet import AUDIENCE, FIRST_KEY, ISSUER, Signet

ROUNDS = 9
CALLS = 2000

Contestant = Callable[[int], Awaitable[None]]


async def main() -> None:
    signet = Signet()
    signet.clocks.now = time.time()
    token = signet.token(email="ada@example.test", sid="0199aa00-0000-7000-8000-00000000000a")
    verifier = signet.verifier()
    await verifier.verify(token)
    contestants: dict[str, Contestant] = {
        "RSA-2048 alone": rsa_alone(token),
        "PyJWT": pyjwt(token),
        "signet-verifier": this_package(verifier.verify, token),
    }

    microseconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            started = time.perf_counter()
            await run(CALLS)
            microseconds[name].append((time.perf_counter() - started) / CALLS * 1e6)

    print(f"{len(token)} bytes of token, {ROUNDS} rounds of {CALLS} calls, microseconds a call")
    for name, measured in microseconds.items():
        print(
            f"{name:>16}  median {statistics.median(measured):6.1f}"
            f"  from {min(measured):6.1f} to {max(measured):6.1f}"
        )
    ratios = [
        ours / theirs
        for ours, theirs in zip(microseconds["signet-verifier"], microseconds["PyJWT"], strict=True)
    ]
    print(f"signet-verifier / PyJWT  median {statistics.median(ratios):.2f}  (goal: at most 1.5)")


def rsa_alone(token: str) -> Contestant:
    signed, _, encoded = token.rpartition(".")
    message, signature = signed.encode(), jwt.utils.base64url_decode(encoded)
    key, padding, digest = FIRST_KEY.public_key(), PKCS1v15(), SHA256()

    async def run(calls: int) -> None:
        for _ in range(calls):
            key.verify(signature, message, padding, digest)

    return run


def pyjwt(token: str) -> Contestant:
    """PyJWT with the checks of this package that it supports, that is, all but `typ`, status and
    duplicate names."""
    key = FIRST_KEY.public_key()
    required = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"]

    async def run(calls: int) -> None:
        for _ in range(calls):
            jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=30,
                options={"require": required},
            )

    return run


def this_package(verify: Callable[[str], Awaitable[object]], token: str) -> Contestant:
    """This package with cached keys and a cached status list."""

    async def run(calls: int) -> None:
        for _ in range(calls):
            await verify(token)

    return run


if __name__ == "__main__":
    asyncio.run(main())

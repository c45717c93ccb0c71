"""Hostile tokens cost little time, and are never accepted."""

import random
import time

from fake_signet import Signet, encode
from outcome import outcome

from signet_verifier import Verifier
from signet_verifier.encoding import DEEPEST

INTERESTING = '.=_-+/AZaz09"{}[],:\\u \n\0\x7fé\ud800'


async def test_mutated_token_is_never_accepted(signet: Signet, verifier: Verifier) -> None:
    valid = signet.token()
    numbers = random.Random(0x5169_6E65_7421)
    for _ in range(5000):
        characters = list(valid)
        for _ in range(numbers.randint(1, 4)):
            at = numbers.randrange(len(characters))
            end = at + numbers.randrange(20)
            match numbers.randrange(4):
                case 0:
                    characters[at] = numbers.choice(INTERESTING)
                case 1:
                    characters.insert(at, numbers.choice(INTERESTING))
                case 2 if end < len(characters):
                    del characters[at:end]
                case _:
                    characters[at:at] = characters[at:end]
        mutated = "".join(characters)
        assert mutated == valid or await outcome(verifier, mutated) != "accepted", mutated


async def test_worst_case_tokens_are_rejected_quickly(signet: Signet, verifier: Verifier) -> None:
    await verifier.verify(signet.token())
    longest = 6000
    headers = [
        "[" * longest,
        '{"a":' * (longest // 5),
        '{"a":' + "[" * 2900 + "]" * 2900 + "}",
        '{"a":' + "9" * (longest - 20) + "}",
        "{" + ",".join(f'"{number}":0' for number in range(700)) + "}",
        '{"a":"' + r"\u0041" * (longest // 6 - 10) + '"}',
    ]
    tokens = [f"{encode(header.encode())}.{encode(b'{}')}.AAAA" for header in headers]
    tokens += ["." * 8192, "a" * 2**20, "." * 2**20, "é" * 2**20]
    for token in tokens:
        elapsed = []
        for _ in range(5):
            started = time.perf_counter()
            assert await outcome(verifier, token) == "malformed"
            elapsed.append(time.perf_counter() - started)
        assert min(elapsed) < 0.005, token[:20]


async def test_nesting_limit_is_independent_of_the_python_version(
    signet: Signet, verifier: Verifier
) -> None:
    def nested(depth: int) -> object:
        value: object = []
        for _ in range(depth - 1):
            value = [value]
        return value

    # The payload itself is the outermost level.
    assert await outcome(verifier, signet.token(x=nested(DEEPEST - 1))) == "accepted"
    assert await outcome(verifier, signet.token(x=nested(DEEPEST))) == "malformed"
    assert await outcome(verifier, signet.token(x=[[]] * 500)) == "accepted"


async def test_repr_of_a_token_contains_no_email(signet: Signet, verifier: Verifier) -> None:
    token = await verifier.verify(signet.token(email="ada@example.test"))

    assert token.email == "ada@example.test"
    assert "ada@" not in repr(token)

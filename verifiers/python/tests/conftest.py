from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fake_signet import Signet

from signet_verifier import Verifier


@pytest.fixture
def signet() -> Signet:
    return Signet()


@pytest_asyncio.fixture
async def verifier(signet: Signet) -> AsyncIterator[Verifier]:
    async with signet.verifier() as verifier:
        yield verifier

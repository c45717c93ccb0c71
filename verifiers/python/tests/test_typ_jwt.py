"""Access tokens with `typ` `JWT`, for audiences that Signet signs such tokens for."""

from typing import Any

import pytest
from fake_signet import Signet
from outcome import outcome

from signet_verifier import TokenRefused, Verifier

JWT = {"typ": "JWT"}


async def test_typ_jwt_is_accepted_only_if_enabled(signet: Signet, verifier: Verifier) -> None:
    token = signet.token(header=JWT)
    assert await outcome(verifier, token) == "wrong_type"
    assert signet.fetches() == 0

    async with signet.verifier(accept_typ_jwt=True) as accepting:
        assert await outcome(accepting, token) == "accepted"
        assert await outcome(accepting, signet.token()) == "accepted"


async def test_token_with_typ_jwt_can_be_revoked(signet: Signet) -> None:
    signet.revoke(3)

    async with signet.verifier(accept_typ_jwt=True) as accepting:
        assert await outcome(accepting, signet.token(header=JWT)) == "revoked"


@pytest.mark.parametrize("claim", ["client_id", "jti", "scope"])
async def test_error_names_the_missing_claim(signet: Signet, claim: str) -> None:
    missing: dict[str, Any] = {claim: None}

    async with signet.verifier(accept_typ_jwt=True) as accepting:
        with pytest.raises(TokenRefused) as refusal:
            await accepting.verify(signet.token(header=JWT, **missing))

    assert (refusal.value.code, refusal.value.claim) == ("invalid_claim", claim)


@pytest.mark.parametrize("claim", ["nonce", "at_hash"])
async def test_id_token_claims_are_rejected_as_the_wrong_type(signet: Signet, claim: str) -> None:
    present: dict[str, Any] = {claim: "AAAA"}

    async with signet.verifier(accept_typ_jwt=True) as accepting:
        assert await outcome(accepting, signet.token(header=JWT, **present)) == "wrong_type"
        assert await outcome(accepting, signet.token(**present)) == "accepted"

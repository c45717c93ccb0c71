"""The example of `docs/verify-a-token.md`, run unchanged."""

import uuid
from typing import Any

import jwt
import pytest

from docs_example import stock_pyjwt
from forgery import forgeries
from own_issuer import ABSENT, AUDIENCE, USER, Issuer


@pytest.fixture
def example(issuer: Issuer) -> dict[str, Any]:
    """The definitions of the code block for PyJWT, with the test issuer's URL."""
    return stock_pyjwt(issuer.url, AUDIENCE)


def test_python_example_rejects_invalid_and_forged_tokens(
    example: dict[str, Any], issuer: Issuer
) -> None:
    verify, is_user = example["verify"], example["is_user"]

    for token in issuer.valid_tokens().values():
        assert is_user(verify(token), USER)
    invalid = issuer.invalid_tokens() | forgeries(issuer.token(), str(uuid.uuid4()), issuer.jwks)
    # The example does not check these, as HTTP servers limit the size of headers.
    for name in ("deeply nested header", "very long"):
        del invalid[name]
    for name, token in invalid.items():
        with pytest.raises(jwt.PyJWTError):
            verify(token)
            pytest.fail(f"accepted: {name}")
    assert issuer.fetches == 1


def test_python_example_distinguishes_users(example: dict[str, Any], issuer: Issuer) -> None:
    verify, is_user = example["verify"], example["is_user"]
    service_token = verify(issuer.token(sub="reporting", client_id="reporting", user_id=ABSENT))

    assert not is_user(verify(issuer.token()), str(uuid.uuid4()))
    assert not is_user(service_token, "reporting")


def test_python_example_works_while_the_issuer_is_down(
    example: dict[str, Any], issuer: Issuer
) -> None:
    verify = example["verify"]
    verify(issuer.token())
    issuer.up = False

    assert verify(issuer.token())["sub"] == USER

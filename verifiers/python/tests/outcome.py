"""The outcome of a verification as one word."""

from signet_verifier import Verifier, VerifyError


async def outcome(verifier: Verifier, token: str) -> str:
    try:
        await verifier.verify(token)
    except VerifyError as error:
        return error.code
    return "accepted"

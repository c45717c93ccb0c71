"""Who is calling: checks Signet's access tokens with `signet-verifier`, and with nothing else."""

import logging
import os
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from signet_verifier import AccessToken, SignetError, Verifier
from signet_verifier.bearer import answer
from signet_verifier.fastapi import SignetBearer

from errors import envelope

# A mistake in the settings shows at the start, since they are read here.
verifier = Verifier(
    issuer=os.environ["SIGNET_ISSUER"],
    audience=os.environ["SIGNET_AUDIENCE"],
    base_url=os.environ.get("SIGNET_URL"),
    leeway_seconds=float(os.environ.get("TOKEN_LEEWAY_SECONDS", "30")),
    cooldown_seconds=float(os.environ.get("JWKS_COOLDOWN_SECONDS", "30")),
)
bearer = SignetBearer(verifier)

# Uvicorn sets up no logger but its own: the reasons of refusals belong beside its lines.
logging.getLogger("signet_verifier").parent = logging.getLogger("uvicorn.error")


def owner(token: Annotated[AccessToken, Depends(bearer.require_user("user_id"))]) -> str:
    """The `user_id` of the URL, which is the caller's own. A client's own token never gets here."""
    return token.subject


def install(app: FastAPI) -> None:
    """Has refusals use this service's envelope."""
    codes = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 503: "TEMPORARILY_UNAVAILABLE"}

    @app.exception_handler(SignetError)
    async def refuse(request: Request, error: SignetError) -> Response:
        refusal = answer(error)
        code, message = codes[refusal.status], refusal.description
        return envelope(request, refusal.status, code, message, headers=refusal.headers)

"""Authentication: `signet-verifier` verifies Signet's access tokens."""

import logging
import os
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from signet_verifier import AccessToken, SignetError, Verifier
from signet_verifier.bearer import answer
from signet_verifier.fastapi import SignetBearer

from errors import envelope

# Created at import, so that invalid settings are errors at the start.
verifier = Verifier(
    issuer=os.environ["SIGNET_ISSUER"],
    audience=os.environ["SIGNET_AUDIENCE"],
    base_url=os.environ.get("SIGNET_URL"),
    leeway_seconds=float(os.environ.get("TOKEN_LEEWAY_SECONDS", "30")),
    cooldown_seconds=float(os.environ.get("JWKS_COOLDOWN_SECONDS", "30")),
)
bearer = SignetBearer(verifier)

# Uvicorn only configures its own loggers. The verifier's messages are logged together with these.
logging.getLogger("signet_verifier").parent = logging.getLogger("uvicorn.error")


def owner(token: Annotated[AccessToken, Depends(bearer.require_user("user_id"))]) -> str:
    """The `user_id` of the URL, which must be the caller's.

    A client credentials token is rejected.
    """
    return token.subject


def install(app: FastAPI) -> None:
    """Returns rejections in this service's error format."""
    codes = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 503: "TEMPORARILY_UNAVAILABLE"}

    @app.exception_handler(SignetError)
    async def refuse(request: Request, error: SignetError) -> Response:
        refusal = answer(error)
        code, message = codes[refusal.status], refusal.description
        return envelope(request, refusal.status, code, message, headers=refusal.headers)

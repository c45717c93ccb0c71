"""For FastAPI: `Depends(SignetBearer(verifier))` is the caller's token, or the request ends."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.responses import JSONResponse
from fastapi.security.base import SecurityBase

from signet_verifier.access_token import AccessToken
from signet_verifier.bearer import answer, bearer_token
from signet_verifier.errors import SignetError
from signet_verifier.verifier import Verifier

TokenDependency = Callable[..., Awaitable[AccessToken]]


class SignetBearer(SecurityBase):
    """A dependency: the token of the request, verified. It raises `SignetError`: see `install`.

    OpenAPI descriptions show it as a bearer scheme.
    """

    def __init__(self, verifier: Verifier, *, scheme_name: str = "Signet") -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token of Signet's")
        self.scheme_name = scheme_name
        self._verifier = verifier

    async def __call__(self, request: Request) -> AccessToken:
        token = bearer_token(request.headers.getlist("Authorization"))
        return await self._verifier.verify(token)

    def require_user(self, parameter: str = "user_id") -> TokenDependency:
        """A dependency for paths with a user in `parameter`: the token, if it is this user's."""

        async def owner(
            request: Request, token: Annotated[AccessToken, Depends(self)]
        ) -> AccessToken:
            token.require_user(request.path_params[parameter])
            return token

        return owner

    def require_scopes(self, *scopes: str) -> TokenDependency:
        """A dependency: the token, if it has all these scopes."""

        async def scoped(token: Annotated[AccessToken, Depends(self)]) -> AccessToken:
            token.require_scopes(*scopes)
            return token

        return scoped


def install(app: FastAPI) -> None:
    """Has `app` answer every `SignetError`, also one that a route raises, as the family does.

    An application with an error format of its own adds its own handler instead, and takes status
    and headers from `signet_verifier.bearer.answer`.
    """

    @app.exception_handler(SignetError)
    async def refuse(_request: Request, error: SignetError) -> JSONResponse:
        refusal = answer(error)
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

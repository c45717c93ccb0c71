"""FastAPI integration: `Depends(SignetBearer(verifier))` returns the verified token of a
request."""

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
    """A dependency that returns the verified token of the request. Raises `SignetError`; see
    `install`.

    OpenAPI documents describe it as a bearer scheme.
    """

    def __init__(self, verifier: Verifier, *, scheme_name: str = "Signet") -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token of Signet's")
        self.scheme_name = scheme_name
        self._verifier = verifier

    async def __call__(self, request: Request) -> AccessToken:
        token = bearer_token(request.headers.getlist("Authorization"))
        return await self._verifier.verify(token)

    def require_user(self, parameter: str = "user_id") -> TokenDependency:
        """A dependency that requires a token of the user whose id is the path parameter
        `parameter`."""

        async def owner(
            request: Request, token: Annotated[AccessToken, Depends(self)]
        ) -> AccessToken:
            token.require_user(request.path_params[parameter])
            return token

        return owner

    def require_scopes(self, *scopes: str) -> TokenDependency:
        """A dependency that requires a token with all these scopes."""

        async def scoped(token: Annotated[AccessToken, Depends(self)]) -> AccessToken:
            token.require_scopes(*scopes)
            return token

        return scoped


def install(app: FastAPI) -> None:
    """Makes `app` send the standard response for every `SignetError`, even one raised by a route.

    An application with a custom error format should add its own handler instead, with status and
    headers from `signet_verifier.bearer.answer`.
    """

    @app.exception_handler(SignetError)
    async def refuse(_request: Request, error: SignetError) -> JSONResponse:
        refusal = answer(error)
        return JSONResponse(refusal.body, refusal.status, refusal.headers)

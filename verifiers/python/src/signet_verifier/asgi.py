"""ASGI middleware that forwards only requests with a verified token."""

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from signet_verifier.access_token import AccessToken
from signet_verifier.bearer import ErrorAnswer, answer, bearer_token
from signet_verifier.errors import SignetError
from signet_verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_KEY = "signet_verifier.token"  # noqa: S105  the name of a key
"""The key of the `AccessToken` in the ASGI scope."""


class SignetMiddleware:
    """Refuses HTTP requests and WebSockets without a valid token, and forwards all others.

    If the application raises a `SignetError` before its response starts, as
    `token_of(scope).require_user(…)` does, the middleware sends the response for it. Apply CORS
    middleware outside of this one: a preflight request has no token.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        scopes: Collection[str] = (),
        public_paths: Collection[str] = (),
    ) -> None:
        """Every request needs all `scopes`, but no token if its path is one of `public_paths`."""
        self._app = app
        self._verifier = verifier
        self._scopes = tuple(scopes)
        self._public_paths = frozenset(public_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._public_paths:
            await self._app(scope, receive, send)
            return
        answered = False

        async def recording_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            token = await self._verifier.verify(bearer_token(_authorization(scope)))
            token.require_scopes(*self._scopes)
            await self._app({**scope, TOKEN_KEY: token}, receive, recording_send)
        except SignetError as error:
            if answered:
                raise
            await _refuse(scope, answer(error), send)


def token_of(scope: Scope) -> AccessToken:
    """The verified token of a request that the middleware forwarded."""
    token: AccessToken = scope[TOKEN_KEY]
    return token


def _authorization(scope: Scope) -> list[str]:
    return [
        value.decode("latin-1")
        for name, value in scope["headers"]
        if name.lower() == b"authorization"
    ]


async def _refuse(scope: Scope, refusal: ErrorAnswer, send: Send) -> None:
    kind = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # Because the handshake is not accepted yet, the server responds with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http"
    body = json.dumps(refusal.body).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **refusal.headers,
    }
    await send(
        {
            "type": f"{kind}.response.start",
            "status": refusal.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": f"{kind}.response.body", "body": body})

"""For any ASGI application: every request has a verified token, or does not arrive."""

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
"""Where the `AccessToken` stands in the scope."""


class SignetMiddleware:
    """Refuses HTTP requests and WebSockets without a valid token, and passes on all others.

    A `SignetError` that the application raises before it has answered, as
    `token_of(scope).require_user(…)` does, is answered too. Put CORS outside: a preflight has no
    token.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        scopes: Collection[str] = (),
        public_paths: Collection[str] = (),
    ) -> None:
        """Every request needs all `scopes`; one for `public_paths`, whole paths, needs no token."""
        self._app = app
        self._verifier = verifier
        self._scopes = tuple(scopes)
        self._public_paths = frozenset(public_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._public_paths:
            await self._app(scope, receive, send)
            return
        answered = False

        async def noting_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            token = await self._verifier.verify(bearer_token(_authorization(scope)))
            token.require_scopes(*self._scopes)
            await self._app({**scope, TOKEN_KEY: token}, receive, noting_send)
        except SignetError as error:
            if answered:
                raise
            await _refuse(scope, answer(error), send)


def token_of(scope: Scope) -> AccessToken:
    """The verified token of a request that came through the middleware."""
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
            # Before the handshake is accepted, the server makes this a 403.
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

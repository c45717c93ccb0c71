"""Every documented response, with the FastAPI dependency and with the ASGI middleware."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from fake_signet import LIST_URL, USER, Signet
from fastapi import Depends, FastAPI

from signet_verifier import AccessToken, Verifier
from signet_verifier.asgi import Receive, Scope, Send, SignetMiddleware, token_of
from signet_verifier.fastapi import SignetBearer, install

BEARER = "Bearer"
INVALID_TOKEN = 'Bearer error="invalid_token"'


def fastapi_app(verifier: Verifier) -> FastAPI:
    app = FastAPI()
    install(app)
    bearer = SignetBearer(verifier)

    @app.get("/me")
    @app.post("/me")
    async def me(token: Annotated[AccessToken, Depends(bearer)]) -> str | None:
        return token.user_id

    @app.get("/users/{user_id}")
    async def user(
        token: Annotated[AccessToken, Depends(bearer.require_user("user_id"))],
    ) -> str | None:
        return token.user_id

    @app.get("/scoped")
    async def scoped(
        token: Annotated[AccessToken, Depends(bearer.require_scopes("tasks", "tasks:write"))],
    ) -> str | None:
        return token.user_id

    return app


def asgi_app(verifier: Verifier) -> SignetMiddleware:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        token = token_of(scope)
        if scope["path"].startswith("/users/"):
            token.require_user(scope["path"].removeprefix("/users/"))
        if scope["path"] == "/scoped":
            token.require_scopes("tasks", "tasks:write")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(token.user_id).encode()})

    return SignetMiddleware(app, verifier)


@pytest_asyncio.fixture(params=[fastapi_app, asgi_app])
async def service(
    request: pytest.FixtureRequest, verifier: Verifier
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(request.param(verifier))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


async def get(service: httpx.AsyncClient, path: str, token: str) -> httpx.Response:
    return await service.get(path, headers={"Authorization": f"Bearer {token}"})


def assert_refused(
    response: httpx.Response, status: int, error: str, challenge: str | None = None
) -> None:
    assert (response.status_code, response.headers.get("WWW-Authenticate")) == (status, challenge)
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    assert body["error_description"]


async def test_valid_token_is_accepted(service: httpx.AsyncClient, signet: Signet) -> None:
    answers = [
        await get(service, "/me", signet.token()),
        await get(service, f"/users/{USER}", signet.token()),
        await get(service, "/scoped", signet.token(scope="a tasks tasks:write")),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, USER)] * 3


async def test_token_in_a_cookie_is_not_read(service: httpx.AsyncClient, signet: Signet) -> None:
    answer = await service.get("/me", headers={"Cookie": f"access_token={signet.token()}"})

    assert_refused(answer, 401, "invalid_request", BEARER)


@pytest.mark.parametrize("claim", [{"exp": 1}, {"aud": "another"}, {"sub": ""}])
async def test_rejected_token_gets_invalid_token(
    service: httpx.AsyncClient, signet: Signet, claim: dict[str, Any]
) -> None:
    answer = await get(service, "/me", signet.token(**claim))

    assert_refused(answer, 401, "invalid_token", INVALID_TOKEN)


async def test_revoked_token_gets_invalid_token(service: httpx.AsyncClient, signet: Signet) -> None:
    signet.revoke(3)

    assert_refused(await get(service, "/me", signet.token()), 401, "invalid_token", INVALID_TOKEN)


async def test_missing_scope_gets_insufficient_scope(
    service: httpx.AsyncClient, signet: Signet
) -> None:
    challenge = 'Bearer error="insufficient_scope", scope="tasks tasks:write"'
    for scope in ("profile tasks", "tasks:write", "", "tasks tasks:writer"):
        answer = await get(service, "/scoped", signet.token(scope=scope))

        assert_refused(answer, 403, "insufficient_scope", challenge)


async def test_path_of_another_user_is_forbidden(
    service: httpx.AsyncClient, signet: Signet
) -> None:
    own = signet.token()
    of_a_client = signet.token(sub="reporting", user_id=None, status=None)
    for token, user_id in [
        (own, "somebody-else"),
        (own, USER.upper()),
        (of_a_client, "reporting"),
        (of_a_client, "None"),
    ]:
        assert_refused(await get(service, f"/users/{user_id}", token), 403, "forbidden")


@pytest.mark.parametrize("lacking", ["keys", "status"])
async def test_missing_keys_or_status_list_gets_a_503(
    service: httpx.AsyncClient, signet: Signet, lacking: str
) -> None:
    if lacking == "keys":
        signet.is_up = False
    else:
        signet.answers[LIST_URL] = httpx.Response(503)

    answer = await get(service, "/me", signet.token())

    assert_refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_openapi_document_has_a_bearer_scheme(signet: Signet) -> None:
    description = fastapi_app(signet.verifier()).openapi()

    assert description["components"]["securitySchemes"]["Signet"]["scheme"] == "bearer"
    for path in ("/me", "/users/{user_id}", "/scoped"):
        assert description["paths"][path]["get"]["security"] == [{"Signet": []}]


async def test_middleware_ignores_public_paths_and_the_lifespan(verifier: Verifier) -> None:
    reached = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope.get("path", scope["type"]))

    guarded = SignetMiddleware(app, verifier, public_paths=["/health"])
    refused = await messages(guarded, {"type": "http", "path": "/health/x", "headers": []})
    await messages(guarded, {"type": "http", "path": "/health", "headers": []})
    await messages(guarded, {"type": "lifespan"})

    assert refused[0]["status"] == 401
    assert reached == ["/health", "lifespan"]


async def test_middleware_requires_its_scopes(verifier: Verifier, signet: Signet) -> None:
    guarded = SignetMiddleware(asgi_app(verifier), verifier, scopes=["admin"])
    authorization = (b"authorization", f"Bearer {signet.token()}".encode())

    sent = await messages(guarded, {"type": "http", "path": "/me", "headers": [authorization]})

    assert sent[0]["status"] == 403


async def test_middleware_protects_web_sockets(verifier: Verifier, signet: Signet) -> None:
    reached = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(token_of(scope).user_id)

    guarded = SignetMiddleware(app, verifier)
    bare: Scope = {"type": "websocket", "path": "/", "headers": []}
    able = {**bare, "extensions": {"websocket.http.response": {}}}
    authorization = (b"authorization", f"Bearer {signet.token()}".encode())

    assert await messages(guarded, bare) == [{"type": "websocket.close", "code": 1008}]
    assert [
        (message["type"], message.get("status")) for message in await messages(guarded, able)
    ] == [("websocket.http.response.start", 401), ("websocket.http.response.body", None)]
    assert reached == []
    await messages(guarded, {**bare, "headers": [authorization]})
    assert reached == [USER]


async def test_middleware_does_not_send_a_second_response(
    verifier: Verifier, signet: Signet
) -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        token_of(scope).require_user("somebody-else")

    guarded = SignetMiddleware(app, verifier)
    authorization = (b"authorization", f"Bearer {signet.token()}".encode())
    with pytest.raises(Exception, match="not this user's"):
        await messages(guarded, {"type": "http", "path": "/", "headers": [authorization]})


async def messages(app: SignetMiddleware, scope: Scope) -> list[Any]:
    """The messages that `app` sends for a request with this ASGI scope."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent

"""A service with the ASGI middleware of verifiers/python."""

import os

import uvicorn
from signet_verifier import Verifier
from signet_verifier.asgi import SignetMiddleware, token_of


async def whoami(scope, receive, send):
    body = token_of(scope).subject.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


verifier = Verifier(issuer=os.environ["ISSUER"], audience=os.environ["AUDIENCE"])
uvicorn.run(SignetMiddleware(whoami, verifier), port=int(os.environ["PORT"]))

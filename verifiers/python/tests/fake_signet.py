"""An in-memory Signet, and manual clocks."""

import asyncio
import base64
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from signet_verifier import Verifier

ISSUER = "https://id.example.test"
AUDIENCE = "https://api.example.test"
USER = "0199aa00-0000-7000-8000-000000000001"
KEYS_URL = f"{ISSUER}/.well-known/jwks.json"
LIST_URL = f"{ISSUER}/status/1"
START = 1_800_000_000

Json = dict[str, Any]

_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
FIRST_KEY, SECOND_KEY = _KEYS


@dataclass
class Clocks:
    """The wall clock and the monotonic clock, which advance together."""

    now: float = START
    monotonic: float = 1000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds


@dataclass
class Signet(httpx.AsyncBaseTransport):
    """Publishes `keys` and one status list, signs anything, and records the requests."""

    clocks: Clocks = field(default_factory=Clocks)
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=lambda: {"first": FIRST_KEY})
    statuses: bytes = bytes(16)
    list_claims: Json = field(default_factory=dict)
    """Changes to the default claims of the list; `None` removes a claim."""
    is_up: bool = True
    headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "max-age=300"})
    error: Exception | None = None
    """Raised instead of a response."""
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    """Responses that replace the default ones, by URL."""
    gate: asyncio.Event | None = None
    """Responses wait for it."""
    requests: list[httpx.Request] = field(default_factory=list)
    http_statuses: list[int] = field(default_factory=list)

    def fetches(self, url: str = KEYS_URL) -> int:
        return sum(str(request.url) == url for request in self.requests)

    def verifier(self, **settings: Any) -> Verifier:
        named: Json = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "http_client": httpx.AsyncClient(transport=self),
            "clock": lambda: self.clocks.now,
            "monotonic": lambda: self.clocks.monotonic,
            **settings,
        }
        return Verifier(**named)

    def token(self, kid: str = "first", header: Json | None = None, **changes: Any) -> str:
        """A user's token, valid for an hour; `None` removes a claim."""
        now = int(self.clocks.now)
        claims: Json = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": USER,
            "user_id": USER,
            "client_id": "signet",
            "scope": "profile tasks",
            "iat": now,
            "exp": now + 3600,
            "jti": "a-token",
            "status": {"status_list": {"idx": 3, "uri": LIST_URL}},
            **changes,
        }
        return sign(claims, {"typ": "at+jwt", "kid": kid, **(header or {})}, self.keys.get(kid))

    def list_token(self) -> bytes:
        now = int(self.clocks.now)
        claims: Json = {
            "iss": ISSUER,
            "sub": LIST_URL,
            "iat": now,
            "exp": now + 600,
            "ttl": 10,
            "status_list": {"bits": 1, "lst": encode(zlib.compress(self.statuses))},
            **self.list_claims,
        }
        return sign(claims, {"typ": "statuslist+jwt", "kid": "first"}).encode()

    def revoke(self, index: int) -> None:
        changed = bytearray(self.statuses)
        changed[index // 8] |= 1 << index % 8
        self.statuses = bytes(changed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        if not self.is_up:
            raise httpx.ConnectError("refused")
        answer = self.answers.get(str(request.url)) or self._answer(request)
        self.http_statuses.append(answer.status_code)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if str(request.url) == KEYS_URL:
            body = self.jwks()
            etag = f'"{hash(body)}"'
        elif str(request.url) == LIST_URL:
            body = self.list_token()
            etag = f'"{hash((self.statuses, str(self.list_claims)))}"'
        else:
            return httpx.Response(404)
        if request.headers.get("If-None-Match") == etag:
            return httpx.Response(304, headers={"ETag": etag, **self.headers})
        return httpx.Response(200, headers={"ETag": etag, **self.headers}, stream=Body(body))

    def jwks(self) -> bytes:
        return json.dumps(
            {"keys": [public_jwk(kid, key) for kid, key in self.keys.items()]}
        ).encode()


class Body(httpx.AsyncByteStream):
    """A body in chunks, as from a network; `sent` counts the bytes that were read."""

    def __init__(self, *pieces: bytes, repeat: int = 1) -> None:
        self._pieces = pieces
        self._repeat = repeat
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._repeat):
            for piece in self._pieces:
                self.sent += len(piece)
                yield piece


def sign(claims: Mapping[str, Any], header: Json, key: rsa.RSAPrivateKey | None = None) -> str:
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.api_jws.encode(json.dumps(present).encode(), key or FIRST_KEY, "RS256", header)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(kid: str, key: rsa.RSAPrivateKey) -> Json:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}

"""A load balancer in front of instances, under the issuer's name, for clients in this process.

TLS is only simulated: clients see https URLs, and send `Secure` cookies.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

import httpx

ISSUER = "https://signet.example"


@dataclass
class Balancer(httpx.BaseTransport):
    """Forwards each request to one of the instances."""

    ports: list[int]
    cookies: list[str] = field(default_factory=list)
    """Every `Set-Cookie` header of all responses."""
    answered: Counter[int] = field(default_factory=Counter)
    """Requests by port."""

    def __post_init__(self) -> None:
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_connections=None))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(f"{ISSUER}/"), f"no server at {request.url}"
        port = random.choice(self.ports)
        passed = httpx.Request(
            request.method,
            request.url.copy_with(scheme="http", host="127.0.0.1", port=port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        response = self._inner.handle_request(passed)
        self.answered[port] += 1
        self.cookies += response.headers.get_list("set-cookie")
        return response

"""A load balancer with the issuer's host name, for HTTP clients of this process.

TLS is simulated: clients use https URLs and send `Secure` cookies, but no TLS is negotiated.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

import httpx

ISSUER = "https://signet.example"


@dataclass
class Balancer(httpx.BaseTransport):
    """Forwards each request to a random instance."""

    ports: list[int]
    cookies: list[str] = field(default_factory=list)
    """The `Set-Cookie` headers of all responses."""
    answered: Counter[int] = field(default_factory=Counter)
    """The number of responses by port of the instance."""

    def __post_init__(self) -> None:
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_connections=None))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(f"{ISSUER}/"), f"no server at {request.url}"
        port = random.choice(self.ports)
        forwarded = httpx.Request(
            request.method,
            request.url.copy_with(scheme="http", host="127.0.0.1", port=port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        response = self._inner.handle_request(forwarded)
        self.answered[port] += 1
        self.cookies += response.headers.get_list("set-cookie")
        return response

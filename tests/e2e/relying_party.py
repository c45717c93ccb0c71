"""A web client with two https origins that logs users in by the code flow."""

import base64
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from certificate import self_signed, server_context

VERIFIER = "an-end-to-end-test-needs-no-secret-of-its-own"
DIGEST = hashlib.sha256(VERIFIER.encode()).digest()
CHALLENGE = base64.urlsafe_b64encode(DIGEST).decode().rstrip("=")
REDIRECTING_CALLBACK = "/and-on"
PAGE = b"<!doctype html><html lang=en><title>The client</title><h1>The client</h1>"

CLIENT = """
[[client]]
client_id = "shop"
client_name = "The <Corner> Shop"
redirect_uris = ["https://rp.example/cb", "https://rp.example/and-on"]
post_logout_redirect_uris = ["https://rp.example/bye", "https://app.example/"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid email offline_access"
consent = "ask"
token_endpoint_auth_method = "none"
"""


@dataclass
class RelyingParty:
    """The client's server at `https://rp.example` and `https://app.example`.

    The callback `/and-on` of the first origin redirects to the second.
    """

    directory: Path
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and parameters of each request by a browser."""

    def __enter__(self) -> "RelyingParty":
        party = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                party._handle(self, parts.path, parts.query)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                party._handle(self, urlsplit(self.path).path, self.rfile.read(length).decode())

            def log_message(self, *_: object) -> None:
                """Disables logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        names = ("rp.example", "app.example")
        context = server_context(self_signed(self.directory / "rp.pem", *names))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def chromium_argument(self) -> str:
        """The argument with which Chromium resolves the client's host names to this server."""
        return f"--host-resolver-rules=MAP *.example 127.0.0.1:{self._server.server_port}"

    def authorization_url(self, issuer: str, **more: str) -> str:
        """The URL of an authorization request."""
        parameters = {
            "response_type": "code",
            "client_id": "shop",
            "redirect_uri": "https://rp.example/cb",
            "scope": "openid email",
            "state": "a-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return f"{issuer}/oauth2/authorize?{urlencode(parameters)}"

    def redeem(self, url: str, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "client_id": "shop",
            "code": code,
            "redirect_uri": "https://rp.example/cb",
            "code_verifier": VERIFIER,
        }
        answer = httpx.post(f"{url}/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def last_parameters(self) -> Mapping[str, str]:
        """The parameters of the browser's last request."""
        return self.requests[-1][1]

    def _handle(self, handler: BaseHTTPRequestHandler, path: str, text: str) -> None:
        if path != "/favicon.ico":
            parameters = {name: values[0] for name, values in parse_qs(text).items()}
            self.requests.append((path, parameters))
        if path == REDIRECTING_CALLBACK:
            handler.send_response(303)
            handler.send_header("Location", "https://app.example/")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", str(len(PAGE)))
        handler.end_headers()
        handler.wfile.write(PAGE)

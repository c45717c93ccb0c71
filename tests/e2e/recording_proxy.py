"""A reverse proxy that records every request it forwards.

A service that only has the proxy's URL cannot call Signet without being recorded.
"""

import threading
import time
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple

import httpx

from processes import free_port


class Call(NamedTuple):
    """A request that was forwarded."""

    method: str
    path: str
    """Includes the query."""
    at: float
    """The time of arrival on the monotonic clock, in seconds."""


class RecordingProxy:
    """Listens while the `with` block runs. `calls` contains every request, in order."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.calls: list[Call] = []
        self.upstream = ""
        self._http = httpx.Client(timeout=5)

    def __enter__(self) -> "RecordingProxy":
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                proxy.calls.append(Call(self.command, self.path, time.monotonic()))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    answer = proxy._http.request(
                        self.command,
                        proxy.upstream + self.path,
                        content=body,
                        headers=forwarded_headers(self.headers, "Accept", "If-None-Match"),
                    )
                except httpx.TransportError:
                    self.reply(502, {}, b"")
                else:
                    names = ("Cache-Control", "Content-Type", "ETag")
                    self.reply(
                        answer.status_code,
                        forwarded_headers(answer.headers, *names),
                        answer.content,
                    )

            def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward

            def log_message(self, *_: object) -> None:
                """Disables logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()


def forwarded_headers(headers: Message | httpx.Headers, *names: str) -> dict[str, str]:
    """The given headers, as far as they are present. No other header is forwarded."""
    return {name: headers[name] for name in names if name in headers}

"""A reverse proxy for browsers that forwards the requests to several instances in turn.

Unlike `balancer`, it listens on a port. Hop-by-hop headers (RFC 9110 §7.6.1) are not forwarded.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from processes import free_port

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class RoundRobin(AbstractContextManager["RoundRobin"]):
    """Listens while the `with` block runs. `answered` counts the responses by upstream port."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = free_port()
        self._ports = itertools.cycle(ports)
        self.answered: Counter[int] = Counter()

    def __enter__(self) -> "RoundRobin":
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                port = next(proxy._ports)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = HTTPConnection("127.0.0.1", port, timeout=60)
                upstream.request(self.command, self.path, body or None, dict(self.headers))
                response = upstream.getresponse()
                content = response.read()
                upstream.close()
                proxy.answered[port] += 1
                # When a form is submitted again, the browser closes the previous connection.
                with suppress(BrokenPipeError):
                    self.reply(response.status, response.getheaders(), content)

            def reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_DELETE = forward

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

"""A reverse proxy that writes down every request it forwards.

A service that knows Signet only by the proxy's address cannot call Signet unseen.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import httpx

from processes import free_port


class RecordingProxy:
    """Listens from the `with` on. `calls` holds (method, path with query), in order."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.calls: list[tuple[str, str]] = []
        self.upstream = ""
        self._http = httpx.Client(timeout=5)

    def __enter__(self) -> "RecordingProxy":
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                proxy.calls.append((self.command, self.path))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    answer = proxy._http.request(
                        self.command, proxy.upstream + self.path, content=body
                    )
                except httpx.TransportError:
                    self.reply(502, b"")
                else:
                    self.reply(answer.status_code, answer.content)

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward

            def log_message(self, *_: object) -> None:
                """Nothing: `calls` is the log."""

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

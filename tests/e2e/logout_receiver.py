"""A client's back-channel logout endpoint with TLS (Back-Channel Logout 1.0 §2.5)."""

import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from certificate import self_signed, server_context


@dataclass(frozen=True)
class Call:
    path: str
    content_type: str
    tls: str
    """The negotiated TLS version."""
    form: dict[str, str]


class LogoutReceiver:
    """A server at `https://localhost` on a free port that responds with 200."""

    def __init__(self, directory: Path) -> None:
        self.certificate = self_signed(directory / "receiver.pem", "localhost")
        self._calls: queue.Queue[Call] = queue.Queue()

    def __enter__(self) -> "LogoutReceiver":
        calls = self._calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                kind = self.headers["Content-Type"]
                tls = self.connection.version()
                calls.put(Call(self.path, kind, tls, dict(parse_qsl(body))))
                self.send_response(200)
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Disables logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = server_context(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for_call(self, seconds: float) -> Call:
        """Waits for the next call."""
        return self._calls.get(timeout=seconds)

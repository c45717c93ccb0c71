"""A reverse proxy with TLS in front of Signet, and HTTP clients that use Signet's public name."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from certificate import self_signed, server_context

HOST = "signet.example"
ISSUER = f"https://{HOST}"

NOT_FORWARDED = {"connection", "content-length", "transfer-encoding", "date", "keep-alive"}


@dataclass
class Answer:
    """A response of Signet that the proxy forwards."""

    request: str
    """Method and path, without the query."""
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class TlsProxy:
    """`https://signet.example`, on a port of this machine."""

    upstream: str
    certificate: Path
    port: int
    answers: list[Answer] = field(default_factory=list)
    """All responses, in order."""
    tamper: Callable[[Answer], None] | None = None
    """Alters each response, to test that a check detects it."""

    def client(self, **options: object) -> httpx.Client:
        """An HTTP client that uses Signet's name and trusts the certificate.

        It does not follow redirects.
        """
        context = ssl.create_default_context(cafile=str(self.certificate))
        transport = ToProxy(self.port, httpx.HTTPTransport(verify=context))
        return httpx.Client(transport=transport, timeout=30, trust_env=False, **options)  # type: ignore[arg-type]


class ToProxy(httpx.BaseTransport):
    """Sends requests for Signet's name to the proxy. Other hosts are errors."""

    def __init__(self, port: int, inner: httpx.HTTPTransport) -> None:
        self._port = port
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        requested = (request.url.scheme, request.url.host, request.url.port)
        assert requested == ("https", HOST, None), f"no server at {request.url}"
        # A copy, since the client assigns cookies to the URL of the original request.
        forwarded = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=self._port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": HOST},
        )
        return self._inner.handle_request(forwarded)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def tls_proxy(directory: Path, upstream: str) -> Iterator[TlsProxy]:
    """Runs the proxy while the `with` block runs."""
    certificate = self_signed(directory / "signet.pem", HOST)
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(timeout=30, trust_env=False, limits=limits) as http:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = [
                    (name, value)
                    for name, value in self.headers.items()
                    if name.lower() not in NOT_FORWARDED
                ]
                headers.append(("X-Forwarded-For", self.client_address[0]))
                try:
                    response = http.request(
                        self.command, proxy.upstream + self.path, content=body, headers=headers
                    )
                except httpx.TransportError:
                    self.send_error(502)
                    return
                forwarded = [
                    (name, value)
                    for name, value in response.headers.multi_items()
                    if name not in NOT_FORWARDED
                ]
                requested = f"{self.command} {self.path.partition('?')[0]}"
                answer = Answer(requested, response.status_code, forwarded, response.content)
                if proxy.tamper is not None:
                    proxy.tamper(answer)
                proxy.answers.append(answer)
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = forward

            def log_message(self, *_: object) -> None:
                """Disables logging."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = server_context(certificate)
        # Each connection's thread does the handshake, so that a slow one does not delay others.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        proxy = TlsProxy(upstream, certificate, server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()
            server.server_close()

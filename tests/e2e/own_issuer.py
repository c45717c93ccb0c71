"""A test issuer that can sign tokens which Signet would never sign."""

import json
import threading
import time
import uuid
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from forgery import Json, encode, public_jwk, sign_rs256
from processes import free_port

AUDIENCE = "https://tasks.example.test"
USER = str(uuid.uuid4())
ABSENT = object()


class Issuer:
    """Signs any token, publishes keys and a status list, and counts the fetches of both.

    While `up` is false, it answers every request with 500.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.fetches = 0
        self.up = True
        self.max_age = 300
        self.ended: set[int] = set()
        self.list_fetches = 0
        self.add_key("first")

    def add_key(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def jwks(self) -> bytes:
        keys = [public_jwk(key, kid) for kid, key in self.keys.items()]
        # A verifier must ignore these keys, as their types are not supported.
        keys.append({"kty": "EC", "crv": "P-256", "kid": "curve", "x": "AA", "y": "AA"})
        keys.append({"kty": "oct", "kid": "shared", "k": "c2VjcmV0"})
        return json.dumps({"keys": keys}).encode()

    @property
    def list_url(self) -> str:
        return f"{self.url}/status/1"

    @property
    def status_list(self) -> bytes:
        """A status list of 64 entries with a `ttl` of one second."""
        now = int(time.time())
        statuses = sum(1 << index for index in self.ended).to_bytes(8, "little")
        claims: Json = {
            "sub": self.list_url,
            "iat": now,
            "exp": now + 600,
            "ttl": 1,
            "status_list": {"bits": 1, "lst": encode(zlib.compress(statuses))},
        }
        header = {"alg": "RS256", "typ": "statuslist+jwt", "kid": "first"}
        return sign_rs256(header, claims, self.keys["first"]).encode()

    def status_at(self, index: int) -> Json:
        """The `status` claim of a token with this index in the list."""
        return {"status_list": {"idx": index, "uri": self.list_url}}

    def token(self, kid: str = "first", header: Json | None = None, **changes: object) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": USER,
            "user_id": USER,
            "exp": now + 600,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "client_id": "signet",
        }
        claims |= changes
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        full_header = {"alg": "RS256", "typ": "at+jwt", "kid": kid} | (header or {})
        full_header = {name: value for name, value in full_header.items() if value is not ABSENT}
        return sign_rs256(full_header, claims, self.keys[kid])

    def valid_tokens(self) -> dict[str, str]:
        """Valid tokens, some of them unusual, by description."""
        now = int(time.time())
        return {
            "as issued": self.token(),
            "one of several audiences": self.token(aud=["https://other.example.test", AUDIENCE]),
            "nbf one second ago": self.token(nbf=now - 1),
            "unknown claim": self.token(colour={"of": ["a", "claim"]}),
        }

    def invalid_tokens(self) -> dict[str, str]:
        """Tokens signed by the right key, each with one defect, by description."""
        now = int(time.time())
        invalid = {
            "expired": self.token(exp=now - 60),
            "not valid yet": self.token(nbf=now + 60),
            "expiry is text": self.token(exp="never"),
            "another issuer": self.token(iss="https://other.example.test"),
            "issuer with a slash": self.token(iss=self.url + "/"),
            "another audience": self.token(aud="https://other.example.test"),
            "no audience": self.token(aud=[]),
            "an ID token": self.token(header={"typ": "JWT"}),
            "a status list": self.token(header={"typ": "statuslist+jwt"}),
            "a logout token": self.token(header={"typ": "logout+jwt"}),
            "no type": self.token(header={"typ": ABSENT}),
            "type is a number": self.token(header={"typ": 1}),
            "no kid": self.token(header={"kid": ABSENT}),
            "kid of an EC key": self.token(header={"kid": "curve"}),
            "kid of a shared secret": self.token(header={"kid": "shared"}),
            "RS512 in the header": self.token(header={"alg": "RS512"}),
            "lower-case algorithm": self.token(header={"alg": "rs256"}),
            "unknown crit": self.token(header={"crit": ["exp"], "exp": now + 600}),
        }
        for claim in ("exp", "iat", "iss", "aud", "sub", "jti", "client_id"):
            without: dict[str, Any] = {claim: ABSENT}
            invalid[f"no {claim}"] = self.token(**without)
        return invalid

    def __enter__(self) -> "Issuer":
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if is_list := issuer.url + self.path == issuer.list_url:
                    issuer.list_fetches += 1
                else:
                    issuer.fetches += 1
                self.send_response(200 if issuer.up else 500)
                self.send_header("Cache-Control", f"max-age={issuer.max_age}")
                self.end_headers()
                if issuer.up:
                    self.wfile.write(issuer.status_list if is_list else issuer.jwks)

            def log_message(self, *_: object) -> None:
                """Disables logging."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
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

"""Debian's Apache with mod_auth_openidc, serving the pages of `tests/clients/stock/apache`."""

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

from processes import REPOSITORY, Process, Signet, clean_environment, free_port
from stock import key_pair, register

SOURCE = REPOSITORY / "tests/clients/stock/apache"
PROGRAM = "/usr/sbin/apache2"


class Apache(Process):
    """Apache as a client that authenticates by `method` (a public client if `none`)."""

    def __init__(self, directory: Path, signet: Signet, method: str, response_mode: str) -> None:
        super().__init__("apache", directory)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.callback = f"{self.url}/private/callback"
        private, public = key_pair()
        client = registration(self.url, self.callback, method, public)
        client_secrets = register(signet, directory, [client])
        # Not in pytest's directory: if root runs the tests, Apache has no access to it.
        self._server_root = Path(tempfile.mkdtemp(prefix="signet-apache-"))
        self._server_root.chmod(0o755)
        shutil.copytree(SOURCE / "pages", self._server_root / "pages")
        key, public_key = self._write_keys(private)
        self._command = [PROGRAM, "-X", "-f", str(SOURCE / "httpd.conf")]
        if client_secrets:
            self._command += ["-D", "HAS_SECRET"]
        elif method == "private_key_jwt":
            self._command += ["-D", "HAS_KEY"]
        self._settings = {
            "PORT": str(port),
            "DIRECTORY": str(self._server_root),
            "PAGES": str(self._server_root / "pages"),
            "LOG_LEVEL": "info",
            "ISSUER": signet.issuer,
            "CLIENT_ID": client["client_id"],
            "SECRET": client_secrets.get(client["client_id"], "none"),
            "KEY": f"{public['kid']}#{key}",
            "PUBLIC_KEY": f"{public['kid']}#{public_key}",
            "METHOD": method,
            "RESPONSE_MODE": response_mode,
            "PASSPHRASE": secrets.token_urlsafe(),
        }

    def start(self) -> "Apache":
        self.spawn(self._command, {**clean_environment(), **self._settings})
        self.wait_until_ready(f"{self.url}/bye.html")
        return self

    def kill(self) -> None:
        super().kill()
        shutil.rmtree(self._server_root, ignore_errors=True)

    def _write_keys(self, private: dict[str, Any]) -> tuple[Path, Path]:
        key = RSAAlgorithm.from_jwk(private)
        assert isinstance(key, RSAPrivateKey)
        pem = serialization.Encoding.PEM
        files = self._server_root / "key.pem", self._server_root / "public.pem"
        no_encryption = serialization.NoEncryption()
        files[0].write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_encryption)
        )
        public_format = serialization.PublicFormat.SubjectPublicKeyInfo
        files[1].write_bytes(key.public_key().public_bytes(pem, public_format))
        return files


def registration(url: str, callback: str, method: str, public: dict[str, Any]) -> dict[str, Any]:
    client: dict[str, Any] = {
        "client_id": "apache",
        "token_endpoint_auth_method": method,
        "application_type": "native",  # permits http on loopback
        "redirect_uris": [callback],
        "post_logout_redirect_uris": [f"{url}/bye.html"],
        "backchannel_logout_uri": f"{callback}?logout=backchannel",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access",
    }
    if method == "private_key_jwt":
        client["jwks"] = {"keys": [public]}
    return client

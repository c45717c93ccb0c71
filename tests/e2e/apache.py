"""Debian's Apache with mod_auth_openidc in front of the pages of `tests/clients/stock/apache`."""

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
    """A confidential client, unless `method` is `none`, with all features of the module."""

    def __init__(self, directory: Path, signet: Signet, method: str, response_mode: str) -> None:
        super().__init__("apache", directory)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.callback = f"{self.url}/private/callback"
        private, public = key_pair()
        described = registration(self.url, self.callback, method, public)
        issued = register(signet, directory, [described])
        # Not in pytest's directory: if root runs the tests, only root has access to it.
        self._home = Path(tempfile.mkdtemp(prefix="signet-apache-"))
        self._home.chmod(0o755)
        shutil.copytree(SOURCE / "pages", self._home / "pages")
        key, public_key = self._write_keys(private)
        self._command = [PROGRAM, "-X", "-f", str(SOURCE / "httpd.conf")]
        if issued:
            self._command += ["-D", "HAS_SECRET"]
        elif method == "private_key_jwt":
            self._command += ["-D", "HAS_KEY"]
        self._settings = {
            "PORT": str(port),
            "DIRECTORY": str(self._home),
            "PAGES": str(self._home / "pages"),
            "LOG_LEVEL": "info",
            "ISSUER": signet.issuer,
            "CLIENT_ID": described["client_id"],
            "SECRET": issued.get(described["client_id"], "none"),
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
        shutil.rmtree(self._home, ignore_errors=True)

    def _write_keys(self, private: dict[str, Any]) -> tuple[Path, Path]:
        key = RSAAlgorithm.from_jwk(private)
        assert isinstance(key, RSAPrivateKey)
        pem = serialization.Encoding.PEM
        files = self._home / "key.pem", self._home / "public.pem"
        plain = serialization.NoEncryption()
        files[0].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        files[1].write_bytes(key.public_key().public_bytes(pem, info))
        return files


def registration(url: str, callback: str, method: str, public: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "client_id": "apache",
        "token_endpoint_auth_method": method,
        "application_type": "native",  # http, on loopback
        "redirect_uris": [callback],
        "post_logout_redirect_uris": [f"{url}/bye.html"],
        "backchannel_logout_uri": f"{callback}?logout=backchannel",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access",
    }
    if method == "private_key_jwt":
        described["jwks"] = {"keys": [public]}
    return described

"""Registration of the stock clients, and a browser that their programs send to URLs."""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from node import PROGRAMS
from person import Person
from processes import SIGNET_BIN, Signet, clean_environment

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")

API = "https://api.example"
"""The audience of the access tokens."""

CALLBACK = "https://app.example/callback"
LOOPBACK_CALLBACK = "http://127.0.0.1:7/callback"
"""The callback of the public native client. Its port is not part of the registered URI."""

AFTER_LOGOUT = "https://app.example/bye"


def register(signet: Signet, directory: Path, clients: list[dict[str, Any]]) -> dict[str, str]:
    """Runs `signet client apply`. Returns the secrets by `client_id`."""
    file = directory / "clients.json"
    file.write_text(json.dumps({"client": clients}))
    printed = manage_clients(signet, directory, "apply", str(file))
    lines = [line.split() for line in printed.splitlines()]
    return {words[0]: words[2] for words in lines if len(words) == 3}


def manage_clients(signet: Signet, directory: Path, *arguments: str) -> str:
    """Runs `signet client …`, which must succeed. Returns its standard output."""
    printed = subprocess.run(
        [SIGNET_BIN, "client", *arguments],
        cwd=directory,
        env={**clean_environment(), **signet.settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    return printed.stdout


def register_stock_clients(signet: Signet, directory: Path) -> dict[str, Any]:
    """Registers a client for each authentication method. Returns the programs' parameters."""
    private, public = key_pair()
    secrets = register(signet, directory, [registration(method, public) for method in METHODS])
    clients = []
    for method in METHODS:
        client: dict[str, Any] = {"client_id": f"app-{method}", "method": method}
        client["redirect_uri"] = CALLBACK if method != "none" else LOOPBACK_CALLBACK
        if method.startswith("client_secret"):
            client["secret"] = secrets[client["client_id"]]
        if method == "private_key_jwt":
            client["key"] = private
        clients.append(client)
    return {
        "issuer": signet.issuer,
        "api": API,
        "post_logout_redirect_uri": AFTER_LOGOUT,
        "clients": clients,
    }


def registration(method: str, public: dict[str, Any]) -> dict[str, Any]:
    is_public = method == "none"
    client: dict[str, Any] = {
        "client_id": f"app-{method}",
        "token_endpoint_auth_method": method,
        "application_type": "native" if is_public else "web",
        "redirect_uris": ["http://127.0.0.1/callback" if is_public else CALLBACK],
        "post_logout_redirect_uris": [AFTER_LOGOUT],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access tasks:read",
        "audiences": [API],
    }
    if not is_public:
        client["grant_types"].append("client_credentials")
    if method == "private_key_jwt":
        client["jwks"] = {"keys": [public]}
    return client


def key_pair() -> tuple[dict[str, Any], dict[str, Any]]:
    """A new key pair of a client: private and public JWK."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_parameters = {"kid": "app-1", "alg": "RS256", "use": "sig"}
    private = RSAAlgorithm.to_jwk(key, as_dict=True)
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    for jwk in (private, public):
        jwk.pop("key_ops", None)
        jwk.update(key_parameters)
    return private, public


def run_with_browser(
    person: Person, command: Iterable[object], cwd: Path, **environment: str
) -> str:
    """Runs a program that must succeed. Returns its output.

    When the program prints `allow URL` or `deny URL`, the user visits that URL, and the final
    URL is written to the program's standard input. These lines are not part of the returned
    output.
    """
    errors = cwd / "errors.log"
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    with errors.open("wb") as error_output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=error_output,
            text=True,
        )
    with process:
        assert process.stdin and process.stdout
        written = []
        try:
            for line in process.stdout:
                word, _, url = line.strip().partition(" ")
                if word not in ("allow", "deny"):
                    written.append(line)
                    continue
                arrival = person.visit(url, word)
                assert arrival.status == 0, f"stuck at {arrival}"
                process.stdin.write(f"{arrival.url}\n")
                process.stdin.flush()
        except BaseException:
            process.kill()
            raise
    output = "".join(written)
    assert process.returncode == 0, f"{output}{errors.read_text(errors='replace')}"
    return output

"""Secrets that must not leak (canaries), and a code flow that uses every kind of secret."""

import base64
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from forgery import public_jwk, sign_rs256
from person import Person
from processes import SIGNET_BIN, Signet, clean_environment
from relying_party import CHALLENGE, VERIFIER

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Canaries:
    """Values that must not appear anywhere, by description."""

    values: dict[str, str] = field(default_factory=dict)

    def add(self, description: str, value: str) -> str:
        self.values[description] = value
        return value

    def found_in(self, text: str) -> list[str]:
        return [
            description
            for description, value in self.values.items()
            if any(encoding in text for encoding in encodings(value))
        ]


def encodings(value: str) -> set[str]:
    """A secret in plain text and encoded for URLs, as JSON, base64 and hex."""
    data = value.encode()
    return {
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        base64.b64encode(data).decode().rstrip("="),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        data.hex(),
    }


def run_code_flow(
    signet: Signet, canaries: Canaries, watch: Callable[[httpx.Response], None]
) -> None:
    """Runs a complete code flow with every kind of secret, then presents each secret where it is
    invalid."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = canaries.add("client secret", register(signet, key))
    canaries.add("code verifier", VERIFIER)
    person = Person("grace@example.test", "Canary-Flow-3f7a", signet.url)
    canaries.add("password typed on the page", "Canary-Flow-3f7a")
    with httpx.Client(base_url=signet.url, event_hooks={"response": [watch]}) as http:

        def post(path: str, *, client_secret: str = secret, **form: str) -> httpx.Response:
            return http.post(path, data=form, auth=("shop", client_secret))

        account = {"email": person.email, "password": "Canary-Flow-3f7a"}
        assert http.post("/api/auth/signup", json=account).status_code == 201
        code = canaries.add("code", log_in(signet, person))
        grant = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        grant["redirect_uri"] = "https://rp.example/cb"
        assert post("/oauth2/token", client_secret=f"{secret}x", **grant).status_code == 401
        tokens = post("/oauth2/token", **grant).json()
        add_flow_tokens(canaries, tokens)
        for cookie in person.cookies:
            canaries.add(f"cookie {cookie.name}", str(cookie.value))
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
        page = http.get("/account", headers={"Cookie": cookies}).text
        canaries.add("CSRF token of a form", page.split('name="csrf" value="')[1].split('"')[0])
        page = http.get(authorization(signet)).text
        sealed = page.split('name="flow" value="')[1].split('"')[0]
        canaries.add("sealed request in a page", sealed.removeprefix("v1."))
        assert http.post("/login", data={"csrf": "x", "flow": sealed}).status_code == 400
        assert http.get(f"/login?flow={sealed}").status_code == 400
        assertion = client_assertion(signet, key)
        canaries.add("client assertion", assertion.split(".")[2])
        for status in (200, 401):
            form = {"grant_type": "client_credentials", "client_assertion": assertion}
            form["client_assertion_type"] = ASSERTION_TYPE
            assert http.post("/oauth2/token", data=form).status_code == status
        present_secrets_where_invalid(http, post, tokens, grant)


def register(signet: Signet, key: rsa.RSAPrivateKey) -> str:
    """Registers the clients. Returns the secret of the client `shop`."""
    shop = {
        "client_id": "shop",
        "redirect_uris": ["https://rp.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid offline_access",
        "consent": "skip",
    }
    signer = {
        "client_id": "signer",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_jwk(key, "one")]},
    }
    file = signet.output_path.with_name("clients.json")
    file.write_text(json.dumps({"client": [shop, signer]}))
    command = [str(SIGNET_BIN), "client", "apply", str(file)]
    environment = {**clean_environment(), **signet.settings}
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return printed.stdout.split()[2]


def authorization(signet: Signet) -> str:
    request = {
        "response_type": "code",
        "client_id": "shop",
        "redirect_uri": "https://rp.example/cb",
        "scope": "openid offline_access",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{signet.url}/oauth2/authorize?{urlencode(request)}"


def log_in(signet: Signet, person: Person) -> str:
    arrived = person.visit(authorization(signet))
    assert arrived.url.startswith("https://rp.example/cb?"), arrived
    return parse_qs(urlsplit(arrived.url).query)["code"][0]


def add_flow_tokens(canaries: Canaries, tokens: dict[str, Any]) -> None:
    for kind in ("access_token", "id_token"):
        canaries.add(f"{kind} of a flow", tokens[kind].split(".")[2])
    canaries.add("refresh token of a flow", tokens["refresh_token"].removeprefix("sgr_"))


def client_assertion(signet: Signet, key: rsa.RSAPrivateKey) -> str:
    now = int(time.time())
    claims = {"iss": "signer", "sub": "signer", "aud": signet.issuer, "jti": "one"}
    return sign_rs256({"alg": "RS256"}, {**claims, "iat": now, "exp": now + 60}, key)


def present_secrets_where_invalid(
    http: httpx.Client,
    post: Callable[..., httpx.Response],
    tokens: dict[str, Any],
    grant: dict[str, str],
) -> None:
    """Presents every secret at an endpoint that must not accept it."""
    access_token, id_token = tokens["access_token"], tokens["id_token"]
    assert post("/oauth2/introspect", token=access_token).json()["active"]
    assert post("/oauth2/introspect", token=id_token).json() == {"active": False}
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert post("/oauth2/token", **refresh, scope="openid profile").status_code == 400
    assert post("/oauth2/token", **grant).status_code == 400
    assert post("/oauth2/token", **refresh).status_code == 400
    assert post("/oauth2/revoke", token=tokens["refresh_token"]).status_code == 200
    bearer = {"Authorization": f"Bearer {access_token}"}
    assert http.get("/oauth2/userinfo", headers=bearer).status_code == 401
    assert http.get(f"/oauth2/userinfo?access_token={access_token}").status_code == 401
    http.get(f"/oauth2/logout?id_token_hint={id_token}x&state={grant['code']}")
    http.get(f"/oauth2/authorize?client_id=shop&code={grant['code']}")
    http.post("/login", data={"csrf": "x", "flow": grant["code"], "password": "Canary-Flow-3f7a"})

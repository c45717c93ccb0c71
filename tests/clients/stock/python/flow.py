"""The flows on Authlib. Prints a line for each: method of authentication, step, outcome.

People log in through its integration for Starlette, as in most applications that use it; what comes
after the login goes through its OAuth 2 session.
"""

import asyncio
import json
import sys
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey
from starlette.requests import Request

SCOPE = "openid profile email offline_access tasks:read"


async def main(arrangement: dict[str, Any]) -> None:
    for registered in arrangement["clients"]:
        await flow(arrangement, registered)


async def flow(arrangement: dict[str, Any], registered: dict[str, Any]) -> None:
    method = registered["method"]
    app = OAuth().register(
        "signet",
        server_metadata_url=f"{arrangement['issuer']}/.well-known/openid-configuration",
        client_id=registered["client_id"],
        client_secret=secret_of(registered),
        client_kwargs={
            "scope": SCOPE,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": authentication(registered),
        },
    )
    redirect_uri = registered["redirect_uri"]
    browser: dict[str, Any] = {}
    try:
        await log_in(app, redirect_uri, browser, "deny")
        raise AssertionError("denied, and logged in")
    except OAuthError as error:
        print(method, "denied", error.error)
    tokens = await log_in(app, redirect_uri, browser, "allow")
    claims = tokens["userinfo"]  # what Authlib calls the claims of the ID token that it validated
    assert claims["iss"] == arrangement["issuer"] and claims["auth_time"]
    print(method, "logged_in")

    user = await app.userinfo(token=tokens)
    assert user["sub"] == claims["sub"] and user["name"] == "Ada Lovelace"
    print(method, "userinfo", user["email"])

    await after_login(method, await session_of(app, registered), tokens["refresh_token"])

    request = a_request(browser)
    leaving = await app.logout_redirect(
        request, arrangement["post_logout_redirect_uri"], tokens["id_token"]
    )
    arrived = browse("allow", leaving.headers["location"])
    assert arrived.startswith(f"{arrangement['post_logout_redirect_uri']}?")
    await app.validate_logout_response(a_request(browser, arrived))
    print(method, "logged_out")


async def log_in(app: Any, redirect_uri: str, browser: dict[str, Any], decision: str) -> Any:
    leaving = await app.authorize_redirect(a_request(browser), redirect_uri)
    arrived = browse(decision, leaving.headers["location"])
    return await app.authorize_access_token(a_request(browser, arrived))


async def after_login(method: str, session: AsyncOAuth2Client, refresh_token: str) -> None:
    metadata = session.metadata
    introspection_endpoint = metadata["introspection_endpoint"]

    async def introspect(token: str) -> None:
        answer = await session.introspect_token(introspection_endpoint, token)
        state = answer.raise_for_status().json()["active"]
        print(method, "introspected", "active" if state else "inactive")

    renewed = await session.refresh_token(refresh_token=refresh_token)
    assert renewed["refresh_token"] != refresh_token
    print(method, "refreshed")
    access_token, refresh_token = renewed["access_token"], renewed["refresh_token"]
    if method != "none":
        await introspect(access_token)
    revoked = await session.revoke_token(metadata["revocation_endpoint"], refresh_token)
    revoked.raise_for_status()
    print(method, "revoked")
    try:
        await session.refresh_token(refresh_token=refresh_token)
        raise AssertionError("revoked, and refreshed")
    except OAuthError as error:
        print(method, "refreshed", error.error)
    if method != "none":
        await introspect(access_token)
        own = await session.fetch_token(grant_type="client_credentials", scope="tasks:read")
        assert own["scope"] == "tasks:read"
        print(method, "client_credentials")
    await session.aclose()


async def session_of(app: Any, registered: dict[str, Any]) -> AsyncOAuth2Client:
    metadata = await app.load_server_metadata()
    method = authentication(registered, metadata["token_endpoint"])
    return AsyncOAuth2Client(
        registered["client_id"],
        secret_of(registered),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        **metadata,
    )


def secret_of(registered: dict[str, Any]) -> Any:
    """Its secret, or its private key: Authlib has one place for both."""
    if registered["method"] == "private_key_jwt":
        return RSAKey.import_key(registered["key"])
    return registered.get("secret")


def authentication(registered: dict[str, Any], token_endpoint: str | None = None) -> Any:
    """How it proves who it is. What it signs is for `token_endpoint`, or else for the address called."""
    if registered["method"] != "private_key_jwt":
        return registered["method"]
    return PrivateKeyJWT(token_endpoint)


def a_request(browser: dict[str, Any], url: str = "") -> Request:
    """What a Starlette application is called with; `browser` is the session of its visitor."""
    query = url.partition("?")[2].encode()
    scope = {"type": "http", "method": "GET", "query_string": query, "headers": []}
    return Request({**scope, "session": browser})


def browse(decision: str, url: str) -> str:
    """Sends the person to an address. Returns the one where they arrived."""
    print(decision, url, flush=True)
    return input()


asyncio.run(main(json.loads(sys.argv[1])))

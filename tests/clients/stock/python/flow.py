"""Runs the flows with Authlib. Prints authentication method, step and outcome of each.

Logins use its integration for Starlette, as most applications do. The steps after the login use its
OAuth 2 session.
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


async def main(parameters: dict[str, Any]) -> None:
    for client in parameters["clients"]:
        await flow(parameters, client)


async def flow(parameters: dict[str, Any], client: dict[str, Any]) -> None:
    method = client["method"]
    app = OAuth().register(
        "signet",
        server_metadata_url=f"{parameters['issuer']}/.well-known/openid-configuration",
        client_id=client["client_id"],
        client_secret=secret_of(client),
        client_kwargs={
            "scope": SCOPE,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": authentication(client),
        },
    )
    redirect_uri = client["redirect_uri"]
    browser: dict[str, Any] = {}
    try:
        await log_in(app, redirect_uri, browser, "deny")
        raise AssertionError("logged in although consent was denied")
    except OAuthError as error:
        print(method, "denied", error.error)
    tokens = await log_in(app, redirect_uri, browser, "allow")
    claims = tokens["userinfo"]  # Authlib's name for the claims of the validated ID token
    assert claims["iss"] == parameters["issuer"] and claims["auth_time"]
    print(method, "logged_in")

    user = await app.userinfo(token=tokens)
    assert user["sub"] == claims["sub"] and user["name"] == "Ada Lovelace"
    print(method, "userinfo", user["email"])

    await after_login(method, await session_of(app, client), tokens["refresh_token"])

    request = new_request(browser)
    redirect = await app.logout_redirect(
        request, parameters["post_logout_redirect_uri"], tokens["id_token"]
    )
    final_url = browse("allow", redirect.headers["location"])
    assert final_url.startswith(f"{parameters['post_logout_redirect_uri']}?")
    await app.validate_logout_response(new_request(browser, final_url))
    print(method, "logged_out")


async def log_in(app: Any, redirect_uri: str, browser: dict[str, Any], decision: str) -> Any:
    redirect = await app.authorize_redirect(new_request(browser), redirect_uri)
    final_url = browse(decision, redirect.headers["location"])
    return await app.authorize_access_token(new_request(browser, final_url))


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
        raise AssertionError("refreshed although the token was revoked")
    except OAuthError as error:
        print(method, "refreshed", error.error)
    if method != "none":
        await introspect(access_token)
        client_token = await session.fetch_token(
            grant_type="client_credentials", scope="tasks:read"
        )
        assert client_token["scope"] == "tasks:read"
        print(method, "client_credentials")
    await session.aclose()


async def session_of(app: Any, client: dict[str, Any]) -> AsyncOAuth2Client:
    metadata = await app.load_server_metadata()
    method = authentication(client, metadata["token_endpoint"])
    return AsyncOAuth2Client(
        client["client_id"],
        secret_of(client),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        **metadata,
    )


def secret_of(client: dict[str, Any]) -> Any:
    """The client's secret or private key. Authlib has one parameter for both."""
    if client["method"] == "private_key_jwt":
        return RSAKey.import_key(client["key"])
    return client.get("secret")


def authentication(client: dict[str, Any], token_endpoint: str | None = None) -> Any:
    """The authentication method. Assertions are for `token_endpoint`, or the requested URL."""
    if client["method"] != "private_key_jwt":
        return client["method"]
    return PrivateKeyJWT(token_endpoint)


def new_request(browser: dict[str, Any], url: str = "") -> Request:
    """A request to a Starlette application. `browser` is the session of its user."""
    query = url.partition("?")[2].encode()
    scope = {"type": "http", "method": "GET", "query_string": query, "headers": []}
    return Request({**scope, "session": browser})


def browse(decision: str, url: str) -> str:
    """Sends the test's browser to a URL. Returns the browser's final URL."""
    print(decision, url, flush=True)
    return input()


asyncio.run(main(json.loads(sys.argv[1])))

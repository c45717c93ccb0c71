"""Who is calling: checks Signet's access tokens with its public keys, and with nothing else.

1. Take the bearer token from the `Authorization` header.
2. Look up the public key that its `kid` names, in a key set kept in memory.
3. Check signature, algorithm, type, issuer, audience, times and required claims.
4. Compare the token's `user_id` with the one in the URL.

No request of a user causes a call to Signet. The key set is fetched when the first token arrives,
then every few minutes, and when a token names a key that is not in it.
"""

import json
import logging
import os
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import jwt
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from errors import ApiError

log = logging.getLogger("uvicorn.error")

REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"]
LONGEST_TOKEN = 8 * 1024
LARGEST_KEY_SET = 64 * 1024


@dataclass(frozen=True)
class AuthSettings:
    """Which tokens this service accepts."""

    issuer: str
    """The `iss` of every accepted token, byte for byte."""
    audience: str
    """The `aud` that a token must name: this service, not just any."""
    jwks_url: str
    """Where the public keys are. Always from the configuration, never from a token."""
    leeway_seconds: float = 5
    """By how much this machine's clock may differ from Signet's."""
    refresh_seconds: float = 300
    """How old the key set may grow before it is fetched again."""
    cooldown_seconds: float = 30
    """How long after a fetch an unknown key does not cause another one."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "AuthSettings":
        issuer = environment["SIGNET_ISSUER"]
        return cls(
            issuer=issuer,
            audience=environment["SIGNET_AUDIENCE"],
            jwks_url=environment.get("SIGNET_JWKS_URL", f"{issuer}/.well-known/jwks.json"),
            leeway_seconds=float(environment.get("TOKEN_LEEWAY_SECONDS", cls.leeway_seconds)),
            refresh_seconds=float(environment.get("JWKS_REFRESH_SECONDS", cls.refresh_seconds)),
            cooldown_seconds=float(environment.get("JWKS_COOLDOWN_SECONDS", cls.cooldown_seconds)),
        )


class InvalidToken(Exception):
    """The token proves nothing. The reason is for the log, not for the caller."""


class KeysUnavailable(Exception):
    """No key set has ever been fetched, so no token can be judged."""


class KeySet:
    """Signet's public keys, kept in memory.

    A failed fetch keeps the keys there are, so verification goes on while Signet is stopped. A
    fetch happens at most once per cool-down whatever the tokens say, so a flood of made-up `kid`s
    neither slows this service down nor reaches Signet.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        """The key named `kid`, fetching the set if that could help."""
        if kid not in self._keys:
            with self._fetching:
                # Another thread may have fetched it while this one waited.
                if kid not in self._keys and self._may_try():
                    self._fetch()
        elif self._is_old() and self._fetching.acquire(blocking=False):
            # One thread refreshes; the others go on with the keys they have.
            try:
                if self._is_old() and self._may_try():
                    self._fetch()
            finally:
                self._fetching.release()
        if not self._keys:
            raise KeysUnavailable
        key = self._keys.get(kid)
        if key is None:
            raise InvalidToken("signed with a key that is not in the key set")
        return key

    def _is_old(self) -> bool:
        return time.monotonic() - self._fetched_at > self._settings.refresh_seconds

    def _may_try(self) -> bool:
        # Without any key nothing works, so the first fetch is tried again sooner.
        cooldown = self._settings.cooldown_seconds if self._keys else 1
        return time.monotonic() - self._tried_at > cooldown

    def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            with urllib.request.urlopen(self._settings.jwks_url, timeout=3) as response:
                document = json.loads(response.read(LARGEST_KEY_SET))
            keys = {
                entry["kid"]: jwt.PyJWK(entry, algorithm="RS256")
                for entry in document["keys"]
                if entry["kty"] == "RSA" and entry.get("use", "sig") == "sig"
            }
        except (OSError, ValueError, LookupError, TypeError, jwt.PyJWTError) as error:
            log.warning("could not fetch %s: %s", self._settings.jwks_url, error)
            return
        # Replaced as a whole: a key that Signet has withdrawn is gone from here too.
        self._keys = keys
        self._fetched_at = self._tried_at


@dataclass(frozen=True)
class Caller:
    """Whoever a valid token was issued to."""

    user_id: str | None
    """The person's account; `None` for a service that acts for itself (client credentials)."""
    client_id: str


class Verifier:
    """Turns an access token into a `Caller`, or raises `InvalidToken`."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._keys = KeySet(settings)

    def verify(self, token: str) -> Caller:
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken("longer than any token of Signet")
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.find(self._usable_kid(header))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                # Ours, never the token's: the header's `alg` is chosen by whoever sends it.
                algorithms=["RS256"],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_seconds,
                options={"require": REQUIRED_CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidToken(str(error)) from error
        user_id = claims.get("user_id")
        if user_id is not None and user_id != claims["sub"]:
            raise InvalidToken("`user_id` and `sub` disagree")
        return Caller(user_id=user_id, client_id=str(claims["client_id"]))

    @staticmethod
    def _usable_kid(header: Mapping[str, Any]) -> str:
        """The `kid` of a header that belongs to an access token (RFC 9068 section 2.1)."""
        if header.get("alg") != "RS256":
            raise InvalidToken("not signed with RS256")
        # ID tokens and status lists are signed with the same keys; the type tells them apart.
        if str(header.get("typ")).lower() not in ("at+jwt", "application/at+jwt"):
            raise InvalidToken("not an access token")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise InvalidToken("names no key")
        return kid


@lru_cache(maxsize=1)
def verifier() -> Verifier:
    """The verifier of this process."""
    return Verifier(AuthSettings.from_environment())


_bearer = HTTPBearer(auto_error=False, description="An access token from Signet")


def authenticated(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    verifier: Annotated[Verifier, Depends(verifier)],
) -> Caller:
    """401 unless the request carries a valid token."""
    if credentials is None:
        raise _unauthorized("Bearer")
    try:
        return verifier.verify(credentials.credentials)
    except InvalidToken as reason:
        # Quoted, since the reason may repeat what the caller sent.
        log.info("token refused: %r", str(reason))
        raise _unauthorized('Bearer error="invalid_token"') from reason
    except KeysUnavailable as reason:
        raise ApiError(
            503, "KEYS_UNAVAILABLE", "Tokens cannot be checked right now", {"Retry-After": "1"}
        ) from reason


def owner(user_id: str, caller: Annotated[Caller, Depends(authenticated)]) -> str:
    """403 unless the `user_id` in the URL is the caller's own. Returns it.

    A service's own token has no `user_id`, so it never passes.
    """
    if caller.user_id is None or caller.user_id != user_id:
        raise ApiError(403, "FORBIDDEN", "These are not your tasks")
    return user_id


def _unauthorized(challenge: str) -> ApiError:
    return ApiError(
        401, "UNAUTHORIZED", "A valid access token is needed", {"WWW-Authenticate": challenge}
    )

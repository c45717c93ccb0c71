"""A client of the JSON API, as a front end uses it, with methods for the most used operations."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

PASSWORD = "Correct-horse-7"


@dataclass(frozen=True)
class Tokens:
    """The response of sign-up, login and refresh."""

    user_id: str
    email: str
    access_token: str
    refresh_token: str

    @classmethod
    def of(cls, response: httpx.Response, status: int) -> "Tokens":
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        body = response.json()
        return cls(**{name: body[name] for name in cls.__dataclass_fields__})


class SignetClient:
    """Calls the JSON API. It is thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        behind_proxy: bool = False,
        watch: Callable[[httpx.Response], None] | None = None,
    ) -> None:
        hooks = {"response": [watch]} if watch else {}
        self._http = httpx.Client(base_url=url, timeout=30, event_hooks=hooks)
        self._behind_proxy = behind_proxy
        self._addresses = itertools.count(secrets.randbelow(2**24))

    def __enter__(self) -> "SignetClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def sign_up(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/api/auth/signup", {"email": email, "password": password})

    def log_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/api/auth/login", {"email": email, "password": password})

    def refresh(self, refresh_token: str) -> httpx.Response:
        return self.post("/api/auth/refresh", {"refresh_token": refresh_token})

    def log_out(self, access_token: str) -> httpx.Response:
        return self.post("/api/auth/logout", None, bearer=access_token)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._http.get(path, **options)

    def patch(self, path: str, body: object, *, bearer: str) -> httpx.Response:
        return self._http.patch(path, json=body, headers={"Authorization": f"Bearer {bearer}"})

    def post(self, path: str, body: object, *, bearer: str | None = None) -> httpx.Response:
        headers = {}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if self._behind_proxy:
            # Each call has a new client address, so that no rate limit is reached.
            high, middle, low = (next(self._addresses) % 2**24).to_bytes(3)
            headers["X-Forwarded-For"] = f"10.{high}.{middle}.{low}"
        if body is None:
            return self._http.post(path, headers=headers)
        return self._http.post(path, json=body, headers=headers)


def random_email() -> str:
    return f"{secrets.token_hex(8)}@example.test"

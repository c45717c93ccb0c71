"""Hooks of schemathesis that insert values which a generator cannot guess.

Every request to a protected operation uses a new account, since some operations end the session or
delete the account. Every second valid request contains the password, refresh token or session id of
its account, so that it can succeed.
"""

import base64
import itertools
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import schemathesis

PASSWORD = "Correct-horse-7"
URL = os.environ["SIGNET_URL"]
CALLS = Path(os.environ["CALLS_FILE"])

request_numbers = itertools.count()


@dataclass
class Account:
    """A new account and the tokens of its sign-up."""

    email: str
    access_token: str
    refresh_token: str

    @classmethod
    def sign_up(cls) -> "Account":
        body = {"email": f"{secrets.token_hex(8)}@example.test", "password": PASSWORD}
        answer = requests.post(f"{URL}/api/auth/signup", json=body, timeout=30)
        answer.raise_for_status()
        tokens = answer.json()
        return cls(body["email"], tokens["access_token"], tokens["refresh_token"])

    @property
    def session_id(self) -> str:
        claims = self.access_token.split(".")[1]
        sid: str = json.loads(base64.urlsafe_b64decode(claims + "=="))["sid"]
        return sid


@schemathesis.auth(refresh_interval=None)
class NewAccountPerRequest:
    """Adds the access token of a new account to each request to a protected operation."""

    def get(self, case: Any, _context: Any) -> Account | None:
        return Account.sign_up() if case.operation.definition.raw.get("security") else None

    def set(self, case: Any, account: Account, _context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {account.access_token}"}
        if should_succeed(case):
            for name in ("current_password", "password"):
                if isinstance(case.body, dict) and name in case.body:
                    case.body[name] = PASSWORD
            if "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = account.session_id


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    if case.operation.label == "POST /api/auth/login" and should_succeed(case):
        case.body.update(email=Account.sign_up().email, password=PASSWORD)
    if case.operation.label == "POST /api/auth/refresh" and should_succeed(case):
        case.body.update(refresh_token=Account.sign_up().refresh_token)


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    with CALLS.open("a") as calls:
        print(json.dumps([case.operation.label, response.status_code]), file=calls)


def should_succeed(case: Any) -> bool:
    return case.meta.generation.mode.is_positive and next(request_numbers) % 2 == 0

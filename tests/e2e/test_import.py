"""Import of accounts whose hashes were made by the libraries of other systems: passlib, Django, and the
original application's database with a thousand users."""

import json
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from passlib import hash as passlib_hash

from clients import SignetClient, Tokens
from original_database import add_users, create_original, email_of, password_of
from processes import SIGNET_BIN, Signet, clean_environment

USERS = 1_000
PASSWORD = "Correct-Horse7-Battery"


@pytest.fixture
def serving(signet: Signet) -> Signet:
    signet.settings["SIGNET_TRUSTED_PROXIES"] = "127.0.0.1/32"
    return signet.start()


def run_import(signet: Signet, *arguments: str) -> str:
    """Runs the command. Returns its standard output."""
    command = [str(SIGNET_BIN), "import", "accounts", *arguments]
    environment = {**clean_environment(), **signet.settings}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored_hash(signet: Signet, email: str) -> str:
    rows = signet.database.execute("SELECT password_hash FROM account WHERE email = ?", email.lower())
    return str(rows[0][0])


def test_users_of_the_original_log_in(signet: Signet, tmp_path_factory: pytest.TempPathFactory) -> None:
    """IM-01, IM-03, IM-04: a thousand users, imported twice."""
    original = create_original(tmp_path_factory.mktemp("original"))
    try:
        ids = add_users(original, range(USERS))
        signet.settings["SIGNET_TRUSTED_PROXIES"] = "127.0.0.1/32"
        signet.start()
        dry = run_import(signet, "--from", "fastapi", "--dry-run", original.url)
        first = run_import(signet, "--from", "fastapi", original.url)
        second = run_import(signet, "--from", "fastapi", original.url)
    finally:
        original.drop()

    assert f"{USERS:>9}  would be created\n" in dry
    assert f"{USERS:>9}  bcrypt cost=4, " in dry
    assert f"{USERS:>9}  created\n" in first
    assert f"{USERS:>9}  unchanged\n" in second

    def log_in(number: int) -> None:
        with SignetClient(signet.url, behind_proxy=True) as client:
            tokens = Tokens.of(client.log_in(email_of(number), password_of(number)), 200)
        assert tokens.user_id == ids[number]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log_in, range(USERS)))
    signet.stop()
    hashes = signet.database.execute("SELECT password_hash FROM account")
    assert len(hashes) == USERS
    assert all(row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in hashes)


def test_hashes_of_passlib_and_django(serving: Signet, tmp_path: Path) -> None:
    """IM-01: hashes as the other system's own library makes them."""
    hashes = [*passlib_hashes(), *django_hashes()]
    path = tmp_path / "accounts.ndjson"
    records = [
        {"id": str(uuid.uuid4()), "email": f"a{number}@example.test", "password_hash": text}
        for number, text in enumerate(hashes)
    ]
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")

    run_import(serving, "--from", "ndjson", str(path))

    for number, text in enumerate(hashes):
        with SignetClient(serving.url, behind_proxy=True) as client:
            wrong = client.log_in(f"a{number}@example.test", PASSWORD + "x")
            assert wrong.status_code == 401, text
            Tokens.of(client.log_in(f"a{number}@example.test", PASSWORD), 200)


def passlib_hashes() -> list[str]:
    schemes: list[Any] = [
        passlib_hash.bcrypt.using(rounds=4),
        passlib_hash.bcrypt_sha256.using(rounds=4),
        passlib_hash.bcrypt_sha256.using(rounds=4, version=1),
        passlib_hash.pbkdf2_sha1.using(rounds=1000),
        passlib_hash.pbkdf2_sha256.using(rounds=1000),
        passlib_hash.pbkdf2_sha512.using(rounds=1000),
        passlib_hash.scrypt.using(rounds=8),
        passlib_hash.argon2.using(rounds=1, memory_cost=64),
    ]
    return [scheme.hash(PASSWORD) for scheme in schemes]


def django_hashes() -> list[str]:
    if not settings.configured:
        settings.configure()
    from django.contrib.auth import hashers

    names = ("PBKDF2", "PBKDF2SHA1", "Scrypt", "Argon2", "BCrypt", "BCryptSHA256")
    found = [getattr(hashers, f"{name}PasswordHasher")() for name in names]
    return [hasher.encode(PASSWORD, hasher.salt()) for hasher in found]

"""Fills a large database in seconds: SQL generates accounts, sessions and their dependent rows.

The schema is read from the database. Columns that this file does not name are NULL, or zero if they
are NOT NULL. So most migrations need no change here.
"""

import hashlib
import sqlite3
import time
import uuid
from typing import Any, Protocol

ENTRIES = 1 << 20  # entries of a status list
FIRST_LIST = 1000  # lists with lower numbers belong to the server
DAY = 86_400_000_000
FIRST_MILLISECOND = 1_756_000_000_000


def uid(tag: str, i: int) -> uuid.UUID:
    """The id of the row with this number. Ids are ordered by number, like UUIDv7 by time."""
    tail = hashlib.md5(f"{tag}{i}".encode()).hexdigest()[:12]
    return uuid.UUID(f"{FIRST_MILLISECOND + i:012x}70008000{tail}")


def digest(tag: str, i: int) -> bytes:
    return hashlib.sha256(f"{tag}{i}".encode()).digest()


class Database(Protocol):
    """The common interface of both databases."""

    def execute(self, sql: str) -> list[Any]: ...
    def columns(self, table: str) -> dict[str, str]:
        """The columns without a default, each with the SQL of a value to insert."""

    def rows(self, number: int) -> str:
        """The SQL of a relation with the numbers from 1 to `number` as column `i`."""

    def uid(self, tag: str, i: str = "i") -> str: ...
    def digest(self, tag: str, i: str = "i") -> str: ...
    def trust(self, is_trusted: bool = True) -> None:
        """Disables the checks of foreign keys, or enables them if `is_trusted` is false."""

    def zeros(self, number: int) -> str: ...
    def text(self, tag: str) -> str: ...


class Sqlite:
    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.trust(False)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA cache_size = -200000")
        create_function = self.connection.create_function
        create_function("uid", 2, lambda tag, i: uid(tag, i).bytes, deterministic=True)
        create_function("digest", 2, digest, deterministic=True)

    def execute(self, sql: str) -> list[Any]:
        return self.connection.execute(sql).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        rows = self.execute(f"PRAGMA table_info({table})")
        fillers = {"uuid": "zeroblob(16)", "json": "'[]'", "text": "''", "varchar": "''"}
        return {
            name: "NULL"
            if not is_required
            else next((filler for key, filler in fillers.items() if key in kind.lower()), "0")
            for _, name, kind, is_required, default, _ in rows
            if default is None
        }

    def rows(self, number: int) -> str:
        return (
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
            f"SELECT i + 1 FROM n WHERE i < {number}) SELECT i FROM n)"
        )

    def uid(self, tag: str, i: str = "i") -> str:
        return f"uid('{tag}', {i})"

    def digest(self, tag: str, i: str = "i") -> str:
        return f"digest('{tag}', {i})"

    def trust(self, is_trusted: bool = True) -> None:
        self.execute(f"PRAGMA foreign_keys = {'OFF' if is_trusted else 'ON'}")

    def zeros(self, number: int) -> str:
        return f"zeroblob({number})"

    def text(self, tag: str) -> str:
        return f"'{tag}' || i"


class Postgres:
    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)

    def execute(self, sql: str) -> list[Any]:
        cursor = self.connection.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def columns(self, table: str) -> dict[str, str]:
        rows = self.execute(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns "
            f"WHERE table_schema = 'public' AND table_name = '{table}' AND column_default IS NULL"
        )
        fillers = {
            "uuid": f"'{uuid.UUID(int=0)}'::uuid",
            "json": "'[]'::jsonb",
            "text": "''",
            "char": "''",
            "bytea": "''::bytea",
            "boolean": "false",
        }
        return {
            name: "NULL"
            if is_nullable == "YES"
            else next((filler for key, filler in fillers.items() if key in kind), "0")
            for name, kind, is_nullable in rows
        }

    def rows(self, number: int) -> str:
        return f"(SELECT i::bigint FROM generate_series(1, {number}) i)"

    def uid(self, tag: str, i: str = "i") -> str:
        return (
            f"(lpad(to_hex({FIRST_MILLISECOND} + {i}), 12, '0') || '70008000' || "
            f"substr(md5('{tag}' || {i}), 1, 12))::uuid"
        )

    def digest(self, tag: str, i: str = "i") -> str:
        return f"sha256(('{tag}' || {i})::bytea)"

    def trust(self, is_trusted: bool = True) -> None:
        self.execute(f"SET session_replication_role = {'replica' if is_trusted else 'origin'}")

    def zeros(self, number: int) -> str:
        return f"decode(repeat('00', {number}), 'hex')"

    def text(self, tag: str) -> str:
        return f"'{tag}' || i"


def fill(
    db: Database,
    number: int,
    holders: int | None = None,
    fresh: int = 0,
    events: int | None = None,
) -> None:
    """Inserts `number` accounts with one active session each, and dependent rows in proportion.

    `holders` is the number of sessions of the client `web`, by default three for ten accounts.
    `fresh` is the number of invalid status entries with the current time.
    `events` is the number of audit events, by default two for each account. If it is given, the
    events are distributed over all accounts."""
    now = time.time_ns() // 1000
    holders = number * 3 // 10 if holders is None else holders
    few = number // 5

    def insert(table: str, rows: int, values: dict[str, str]) -> None:
        columns = db.columns(table) | values
        db.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM {db.rows(rows)} n"
        )

    def sessions(tag: str, rows: int, client_id: str, values: dict[str, str]) -> None:
        nonlocal used_entries
        entry = f"({used_entries} + i)"
        common = {
            "id": db.uid(tag),
            "account_id": db.uid("account", f"(1 + (i - 1) % {number})"),
            "client_id": f"'{client_id}'",
            "scope": "'openid email offline_access'",
            "auth_time": f"{now - DAY}",
            "idle_expires_at": f"{now + DAY} + i",
            "absolute_expires_at": f"{now + 60 * DAY} + i",
            "address": "'192.0.2.1'",
            "user_agent": "'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'",
            "status_list": f"CAST({FIRST_LIST} + {entry} / {ENTRIES} AS integer)",
            "status_index": f"CAST({entry} % {ENTRIES} AS integer)",
        }
        insert("session", rows, common | values)
        used_entries += rows

    db.trust()
    db.execute("BEGIN")
    used_entries = 0
    insert(
        "account",
        number,
        {
            "id": db.uid("account"),
            "email": f"{db.text('a')} || '@example.test'",
            "email_canonical": f"{db.text('a')} || '@example.test'",
            "created_at": f"{now - 90 * DAY}",
        },
    )
    # Three of ten rows belong to `web`. The others are distributed over several clients.
    client = "CASE WHEN i % 10 < 3 THEN 'web' ELSE 'c' || i % 10 END"
    for client_id in ("web", *(f"c{i}" for i in range(3, 10))):
        if not db.execute(f"SELECT 1 FROM client WHERE id = '{client_id}'"):
            kinds = {"application_type": "'web'", "auth_method": "'none'", "consent": "'skip'"}
            client_row = {
                "id": f"'{client_id}'",
                "backchannel_logout_uri": "'https://rp.example.test/out'",
            }
            existing = kinds.keys() & db.columns("client").keys()
            insert("client", 1, client_row | {it: kinds[it] for it in existing})
    sessions("session", number, "signet", {})
    sessions("browser", few, "signet", {"cookie_digest": db.digest("cookie")})
    opened = {"browser_session_id": db.uid("browser"), "audience": "'https://api.example.test'"}
    sessions("opened", holders, "web", opened)
    ended = {"ended_at": f"{now - 2 * DAY}", "end_reason": "'logout'"}
    sessions("ended", few, "signet", ended)
    grant = {"account_id": db.uid("account"), "client_id": client, "scope": "'openid'"}
    insert("consent", few, grant | {"granted_at": str(now)})
    expiry = f"{now} + CASE WHEN i % 5 = 0 THEN {-2 * DAY} ELSE {DAY} END + i"
    code = {"digest": db.digest("code"), "browser_session_id": db.uid("browser")}
    insert("authorization_code", few, grant | code | {"expires_at": expiry})
    pending = {"digest": db.digest("pending"), "client_id": client}
    owner = {"browser_digest": db.digest("cookie"), "account_id": db.uid("account")}
    pending |= {it: owner[it] for it in owner.keys() & db.columns("pending_authorization").keys()}
    insert("pending_authorization", few, pending | {"expires_at": expiry})
    insert("used_assertion", few, {"digest": db.digest("assertion"), "expires_at": expiry})
    insert("attempt", number // 2, {"key": db.digest("attempt"), "expires_at": expiry})
    notice = {"session_id": db.uid("opened"), "account_id": db.uid("account"), "client_id": client}
    later = {"due_at": f"{now + 20 * DAY} + i", "created_at": str(now)}
    insert("logout_notice", few, notice | later)
    invalid_entry = {
        "list_id": f"CAST({FIRST_LIST} + i / {ENTRIES} AS integer)",
        "idx": f"CAST(i % {ENTRIES} AS integer)",
    }
    old = few - fresh if few > fresh else 0
    if old:
        insert("invalid_status", old, invalid_entry | {"since": f"{now - 29 * DAY} + i"})
    if fresh:
        index = invalid_entry["idx"].replace("i %", f"({old} + i) %")
        insert("invalid_status", fresh, invalid_entry | {"idx": index, "since": f"{now}"})
    event = {"id": db.uid("event"), "at": f"{now - 30 * DAY} + i", "account_id": db.uid("account")}
    if events is not None:
        # The events of an account have consecutive ids: the index is then filled in its order.
        event["account_id"] = db.uid("account", f"(1 + (i - 1) * {number} / {events})")
    events = 2 * number if events is None else events
    insert("auth_event", events, event | {"type": "'login'", "outcome": "'success'"})
    full_list = {"id": f"CAST({FIRST_LIST} - 1 + i AS integer)", "free_blocks": "0"}
    full_list |= {"claimed": db.zeros(256), "created_at": f"{now - 60 * DAY}"}
    insert("status_list", 1 + used_entries // ENTRIES, full_list)
    db.execute("COMMIT")
    db.trust(False)

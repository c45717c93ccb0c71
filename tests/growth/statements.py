"""Explains every statement that Signet sends, on a small and on a large database (W18).

    statements.py FILE    FILE: the output of `scripts/with-postgres --log-statements FILE`

No statement may scan a table that grows. Each statement must do the same work on 1,000 accounts as
on 100,000. The work is counted in instructions on SQLite, and in rows read on PostgreSQL
(`TEST_DATABASE_URL`). Both databases are tested before and after ANALYZE. Exceptions are listed
below.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from large_database import DAY, FIRST_LIST, Postgres, Sqlite, digest, fill, uid

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNET_BIN = os.environ.get("SIGNET_BIN", str(REPOSITORY / "target/debug/signet"))
SMALL, LARGE = 1_000, 100_000

# Tables that grow with accounts, logins or time.
GROWING = (
    "account attempt auth_event authorization_code consent invalid_status logout_notice "
    "pending_authorization session used_assertion"
).split()

# Statements that may scan, or do more work on a larger database: how they start, and the reason.
EXCEPTIONS = {
    'DELETE FROM "client" WHERE': "rows that refer to the client were deleted in portions before",
}

# Statements for which PostgreSQL may read more rows if it has no statistics: a part of each, and
# the reason. If there are no statistics, Signet runs ANALYZE at its start and each hour.
NEEDS_STATISTICS = {
    'FROM "session" WHERE "session"."browser_session_id" =': "expects few active sessions",
    '"deleted_at" IS NULL AND EXISTS(': "a command that ends all sessions of all accounts",
    'FROM "logout_notice" WHERE "logout_notice"."due_at" <=': "runs after an upgrade only",
}

# Text that only statements for PostgreSQL contain.
POSTGRESQL = ("::", "pg_", "signet_session_is_current(", "octet_length(")


def statements(file: Path) -> list[str]:
    """The distinct statements. Statements that differ only in the length of a list are equal."""
    found = set()
    for line in file.read_text().splitlines():
        line = line.strip()
        if re.match(r"(SELECT|UPDATE|DELETE|WITH|INSERT)\b", line) and '"' in line:
            found.add(line)
    normal = {normalised(unchanged(line)) for line in found if "information_schema" not in line}
    # Inserts of values are omitted, because they find rows only by keys.
    return sorted(it for it in normal if not re.match(r"INSERT INTO \S+ \([^)]*\) VALUES", it))


def unchanged(sql: str) -> str:
    """Makes an update set each column to its own value, so that it violates no constraint."""
    found = re.match(r'(UPDATE "\w+" SET )(.*?)( WHERE .*)', sql)
    if not found:
        return sql
    set_to = r'"(\w+)" = (?:"\w+"\."\w+" \+ )?\$\d+'
    return found[1] + re.sub(set_to, r'"\1" = "\1"', found[2]) + found[3]


def normalised(sql: str) -> str:
    """Shortens lists to one element, and numbers the parameters again."""
    sql = re.sub(r"IN \(\$\d+(?:, \$\d+)+\)", "IN ($1)", sql)
    sql = re.sub(r"VALUES (\([^)]*\))(?:, \([^)]*\))+", r"VALUES \1", sql)
    number = 0

    def renumber(_: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f"${number}"

    return re.sub(r"\$\d+", renumber, sql)


# --- bound values -------------------------------------------------------------------------------

NOW = time.time_ns() // 1000
PERSON = 200  # the number of the account in all queries; it has one row of each kind


def value(table: str, column: str, operator: str) -> Any:
    """A value for a parameter that is compared with a column or assigned to it."""
    if operator == "LIMIT":
        return 10
    if operator == "OFFSET":
        return 0
    if column.endswith(("_at", "at")) or column in ("since", "auth_time"):
        return since(table, column, operator)
    by_name: dict[str, Any] = {
        "account_id": uid("account", PERSON),
        "browser_session_id": uid("browser", PERSON),
        "session_id": uid("session", PERSON),
        "client_id": "web",
        "cookie_digest": digest("cookie", PERSON),
        "browser_digest": digest("cookie", PERSON),
        "key": digest("attempt", PERSON),
        "email_canonical": f"a{PERSON}@example.test",
        "email": f"a{PERSON}@example.test",
        "status_list": FIRST_LIST,
        "list_id": FIRST_LIST,
        "status_index": -1 if operator == ">" else PERSON,
        "idx": -1 if operator == ">" else PERSON,
        "generation": 0,
    }
    by_table: dict[str, Any] = {
        "account": uid("account", PERSON),
        "session": uid("session", PERSON),
        "client": "web",
        "status_list": FIRST_LIST,
        "authorization_code": digest("code", PERSON),
        "pending_authorization": digest("pending", PERSON),
        "used_assertion": digest("assertion", PERSON),
    }
    if column in ("id", "digest") and table in by_table:
        return by_table[table]
    return by_name.get(column)


def since(table: str, column: str, operator: str) -> int:
    if column == "since":  # queries select new rows, deletions rows that are a month old
        return NOW - 30 * DAY if operator == "<" else NOW - 7_000_000
    if operator in ("<", "<=") and column == "expires_at":
        return NOW - DAY if table == "authorization_code" else NOW
    return NOW


# The column and the operator before a parameter.
COMPARISON = re.compile(
    r'(?:"(?P<table>\w+)"\.)?"(?P<column>\w+)"\)? (?P<operator>=|<>|<=|>=|<|>|IN \(|NOT IN \() ?\(?$'
)


def values(sql: str) -> list[Any]:
    """A value for each parameter of a statement."""
    main = re.search(r'(?:FROM|UPDATE|INTO) "(\w+)"', sql)
    bound = []
    for place in re.finditer(r"\$\d+", sql):
        before = sql[: place.start()].rstrip()
        if before.endswith("LOWER("):  # the client id, in the index for removing a client
            bound.append("web")
            continue
        if before.endswith(("LIMIT", "OFFSET")):
            bound.append(value("", "", before.rsplit(" ", 1)[1]))
            continue
        found = COMPARISON.search(before + (" " if before[-1] != "(" else ""))
        found = found or COMPARISON.search(before)
        if not found:
            bound.append(None)
            continue
        table = found["table"] or (main[1] if main else "")
        bound.append(value(table, found["column"], found["operator"].split(" ")[0]))
    return bound


# --- EXPLAIN ------------------------------------------------------------------------------------


class OnSqlite:
    def __init__(self, directory: Path, number: int) -> None:
        path = directory / f"{number}.db"
        migrate(f"sqlite:{path}", directory)
        self.db = Sqlite(str(path))
        fill(self.db, number)

    def analyze(self) -> None:
        self.db.execute("ANALYZE")

    def explain(self, sql: str, bound: list[Any]) -> tuple[int, list[str]]:
        """The number of executed instructions of the virtual machine, and the scans in the plan."""
        sql = re.sub(r" FOR (NO KEY |KEY )?(UPDATE|SHARE)( SKIP LOCKED| NOWAIT)?", "", sql)
        sql = re.sub(r"ctid = ANY\(ARRAY (.*)\)( RETURNING|$)", r"rowid IN \1\2", sql)
        sql = re.sub(r"\$(\d+)", r"?\1", sql.replace('"ctid"', "rowid"))
        bound = [it.bytes if isinstance(it, uuid.UUID) else it for it in bound]
        connection = self.db.connection
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bound)]
        instructions = 0

        def count() -> int:
            nonlocal instructions
            instructions += 1
            return 0

        connection.execute("BEGIN")
        connection.set_progress_handler(count, 1)
        try:
            connection.execute(sql, bound).fetchall()
        finally:
            connection.set_progress_handler(None, 1)
            connection.execute("ROLLBACK")
        scans = [it for it in plan if is_scan(it)]
        return instructions, scans


def is_scan(step: str) -> bool:
    # A scan in the order of an index is no fault here, because it may stop early. If it does not,
    # the number of instructions is too high.
    found = re.match(r"SCAN (\w+)\b(?! USING)", step)
    return "ANY(" in step or bool(found and found[1] in GROWING)


class OnPostgres:
    def __init__(self, server: str, number: int) -> None:
        name = f"growth_{number}_{secrets.token_hex(4)}"
        self.server, self.name = Postgres(server), name
        self.server.execute(f"CREATE DATABASE {name}")
        before, _, query = server.partition("?")
        self.url = f"{before.rsplit('/', 1)[0]}/{name}?{query}"
        with tempfile.TemporaryDirectory() as directory:
            migrate(self.url, Path(directory))
        self.db = Postgres(self.url)
        fill(self.db, number)
        self.db.execute("SET jit = off")

    def analyze(self) -> None:
        self.db.execute("ANALYZE")

    def explain(self, sql: str, bound: list[Any]) -> tuple[int, list[str]]:
        """The number of rows read, and the scanned tables, with the plan for these values.

        The scanned tables include those of the generic plan, if PostgreSQL may choose it for a
        prepared statement after some executions."""
        import psycopg

        rows, scans = 0, []
        with psycopg.RawCursor(self.db.connection) as cursor:
            cursor.execute("BEGIN")
            if "SKIP LOCKED" in sql:  # as `database/portions.rs` does
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute("SET LOCAL enable_bitmapscan = off")
            try:
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", bound)
                plan = cursor.fetchone()[0][0]["Plan"]  # type: ignore[index]
                rows, scans = rows_read(plan), scanned_tables(plan)
                cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                cursor.execute(f"PREPARE it AS {sql}".encode())
                nulls = f"({', '.join(['NULL'] * len(bound))})" if bound else ""
                cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE it{nulls}")
                generic = cursor.fetchone()[0][0]["Plan"]  # type: ignore[index]
                # Like choose_custom_plan() in plancache.c, this adds the cost of planning.
                relations = len({it.get("Relation Name") for it in nodes(generic)})
                if generic["Total Cost"] < plan["Total Cost"] + 2.5 * (relations + 1):
                    scans += [f"{it} in the generic plan" for it in scanned_tables(generic)]
                cursor.execute("DEALLOCATE it")
            finally:
                cursor.execute("ROLLBACK")
        return rows, scans

    def close(self) -> None:
        self.db.connection.close()
        self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan] + [node for part in plan.get("Plans", []) for node in nodes(part)]


def rows_read(plan: dict[str, Any]) -> int:
    parts = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    scans = [node for node in nodes(plan) if "Scan" in node["Node Type"]]
    return sum(node["Actual Loops"] * sum(node.get(it, 0) for it in parts) for node in scans)


def scanned_tables(plan: dict[str, Any]) -> list[str]:
    scans = [node for node in nodes(plan) if node["Node Type"] in ("Seq Scan", "Parallel Seq Scan")]
    return [f"Seq Scan {it['Relation Name']}" for it in scans if it["Relation Name"] in GROWING]


def migrate(url: str, directory: Path) -> None:
    environment = {"SIGNET_DATABASE_URL": url, "SIGNET_MASTER_KEY_FILE": str(directory / "key")}
    subprocess.run(
        [SIGNET_BIN, "migrate", "up"], env=environment, check=True, stdout=subprocess.DEVNULL
    )


# --- the test -----------------------------------------------------------------------------------


def faults(database: str, small: Any, large: Any, checked: list[str]) -> list[str]:
    """The statements that scan a table, or do more work on the large database."""
    found = []
    for sql in checked:
        bound = values(sql)
        try:
            (few, _), (many, scans) = (it.explain(sql, bound) for it in (small, large))
        except Exception as error:  # noqa: BLE001
            found.append(f"{database}: cannot be explained: {error}\n    {sql}\n    {bound}")
            continue
        if os.environ.get("VERBOSE"):
            print(database, few, many, scans, sql[:3000], sep=" | ")
        if scans:
            found.append(f"{database}: {', '.join(scans)}\n    {sql}")
        elif many > few * 1.3 + 25:
            found.append(f"{database}: {few} on 1,000 accounts, {many} on 100,000\n    {sql}")
    return found


def main() -> None:
    started = time.monotonic()
    checked = [it for it in statements(Path(sys.argv[1])) if not it.startswith(tuple(EXCEPTIONS))]
    independent = [it for it in checked if not any(part in it for part in NEEDS_STATISTICS)]
    found = []
    with tempfile.TemporaryDirectory() as directory:
        small, large = OnSqlite(Path(directory), SMALL), OnSqlite(Path(directory), LARGE)
        portable = [it for it in checked if not any(part in it for part in POSTGRESQL)]
        found += faults("SQLite without statistics", small, large, portable)
        for it in (small, large):
            it.analyze()
        found += faults("SQLite after ANALYZE", small, large, portable)
    server = os.environ["TEST_DATABASE_URL"]
    few, many = OnPostgres(server, SMALL), OnPostgres(server, LARGE)
    try:
        found += faults("PostgreSQL before ANALYZE", few, many, independent)
        for one in (few, many):
            one.analyze()
        found += faults("PostgreSQL after ANALYZE", few, many, checked)
    finally:
        few.close()
        many.close()
    print(*found, sep="\n")
    print(f"{len(checked)} statements, {len(found)} faults, {time.monotonic() - started:.0f} s")
    sys.exit(bool(found) or len(checked) < 50)


if __name__ == "__main__":
    main()

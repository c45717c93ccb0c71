"""Writes what changed at Signet into the table `users` of the original application: see "And back" in
docs/moving-in.md.

    signet export accounts --output accounts.ndjson
    signet account list-imported --json --output imported.ndjson
    python3 back_to_original.py accounts.ndjson imported.ndjson           # only prints what it would do
    python3 back_to_original.py accounts.ndjson imported.ndjson --write

The environment variable ORIGINAL_DATABASE_URL has the URL of the original's database: postgres://… (needs
psycopg) or sqlite:PATH. Everything is written in one transaction. Run this program before users log in at the
original again, because it overwrites passwords that users have changed there since.

The exit code is 1 if a user or an address is not written because another row has the address, and 2 after an
error: then nothing was written.
"""

import argparse
import io
import json
import os
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

from original_table import Stop, Users
from plan import Records, make_plan


def read_records(path: Path, member: str, command: str) -> Records:
    """Reads a file of `command`, all of whose records have `member`."""
    try:
        with path.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        found = {uuid.UUID(record["id"]): record for record in records if member in record}
    except OSError as error:
        raise Stop(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(f"{path} is not a file of `{command}`") from error
    if not found or len(found) != len(records):
        raise Stop(f"{path} is empty, or not a file of `{command}`")
    return found


def commit(users: Users, marker: Path) -> None:
    """Commits, and marks the input as written."""
    try:
        file = marker.open("x", encoding="utf-8")
    except OSError as error:
        raise Stop(f"cannot create {marker}: {error.strerror}") from error
    with file:
        try:
            users.connection.commit()
        except users.driver.Error as error:
            message = str(error).partition("\n")[0]
            raise Stop(
                f"the commit failed: {message}; compare the table with its backup, and remove {marker} only"
                " if they are equal"
            ) from error
        file.write(f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}\n")


def column_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError("must be COLUMN=VALUE")
    return name, value


def run(arguments: argparse.Namespace) -> int:
    accounts = read_records(arguments.accounts, "created_at", "signet export accounts")
    imported = read_records(arguments.imported, "email_changed", "signet account list-imported --json")
    url = os.environ.get("ORIGINAL_DATABASE_URL")
    if not url:
        raise Stop("set ORIGINAL_DATABASE_URL to the URL of the original's database")
    marker = arguments.accounts.with_name(arguments.accounts.name + ".written")
    if arguments.write and marker.exists():
        raise Stop(
            f"{arguments.accounts} has been written already. A second run would revert passwords that users"
            " have changed in the original since, and insert users again who were deleted there. Remove"
            f" {marker} only if the table was restored from its backup"
        )
    users = Users(url)
    result = make_plan(users, accounts, imported, arguments.lower_case)
    with users.readable_errors():
        result.write(users, accounts, dict(arguments.set))
    if arguments.write:
        commit(users, marker)
    else:
        users.connection.rollback()
        print("nothing was written, because --write was not given; it would be:")
    for line in result.lines:
        print(line)
    for label, count in result.counts.items():
        if count:
            print(f"{count:>9}  {label}")
    users.connection.close()
    return 1 if result.conflicts else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("accounts", type=Path, help="the file of signet export accounts")
    parser.add_argument("imported", type=Path, help="the file of signet account list-imported --json")
    parser.add_argument("--write", action="store_true", help="write, instead of only printing")
    parser.add_argument(
        "--lower-case",
        action="store_true",
        help="write addresses in lower case, for an original that looks them up so",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=column_and_value,
        metavar="COLUMN=VALUE",
        help="the value of a further column of inserted rows; may be repeated",
    )
    arguments = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(run(arguments))
    except Stop as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

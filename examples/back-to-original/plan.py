"""Compares the accounts of Signet with the rows of the original, and plans what to write."""

import secrets
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from original_table import EMAIL, PASSWORD, Stop, Users

Record = dict[str, Any]
Records = dict[uuid.UUID, Record]


def spelling(account: Record, lower_case: bool) -> str:
    """The address of an account as the original looks it up: with the domain in Unicode."""
    email = in_unicode(account.get("email_as_typed") or account["email"])
    return email.lower() if lower_case else email


def in_unicode(email: str) -> str:
    local, at, domain = email.rpartition("@")
    labels = []
    for label in domain.split("."):
        try:
            is_encoded = label.lower().startswith("xn--")
            labels.append(label[4:].encode().decode("punycode") if is_encoded else label)
        except UnicodeError:
            labels.append(label)
    return local + at + ".".join(labels)


def compared(email: str) -> str:
    """Two spellings of one address are equal in this form."""
    return in_unicode(email).lower()


def find_conflicts(rows: dict[uuid.UUID, str], wanted: dict[uuid.UUID, str]) -> dict[uuid.UUID, uuid.UUID]:
    """The users who cannot get the address that they want, each with a user who has it at the end.

    A user who does not get an address keeps the old one, which another user may want: so this repeats until
    no address is wanted twice. The result does not depend on the order of the users.
    """
    conflicts: dict[uuid.UUID, uuid.UUID] = {}
    while True:
        permitted = {user: email for user, email in wanted.items() if user not in conflicts}
        users_of = defaultdict(list)
        for user, email in (rows | permitted).items():
            users_of[compared(email)].append(user)
        found = {
            user: next(other for other in users if other != user)
            for users in users_of.values()
            if len(users) > 1
            for user in users
            if user in permitted
        }
        if not found:
            return conflicts
        conflicts |= found


@dataclass
class Plan:
    """What to write. Rows of users who were not imported, such as refused ones, are not touched."""

    deleted: set[uuid.UUID] = field(default_factory=set)
    emails: dict[uuid.UUID, str] = field(default_factory=dict)
    hashes: dict[uuid.UUID, str] = field(default_factory=dict)
    inserted: dict[uuid.UUID, str] = field(default_factory=dict)
    conflicts: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def write(self, users: Users, accounts: Records, further: dict[str, str]) -> None:
        for user in self.deleted:
            users.delete(user)
        # Users may get addresses of each other, and the column is unique.
        for user in self.emails:
            users.update(user, EMAIL, f"{uuid.uuid4().hex}@moving.invalid")
        for user, email in self.emails.items():
            users.update(user, EMAIL, email)
        for user, password_hash in self.hashes.items():
            users.update(user, PASSWORD, password_hash)
        for user, email in self.inserted.items():
            users.insert(user, email, accounts[user], further)


def make_plan(users: Users, accounts: Records, imported: Records, lower_case: bool) -> Plan:
    result = Plan()
    unusable = hash_of_random_password()
    result.deleted = {user for user, record in imported.items() if record["deleted"] and user in users.ids}
    result.counts["deleted, because they were deleted at Signet"] = len(result.deleted)
    rows = {user: email for user, email in users.emails.items() if user not in result.deleted}
    for user, account in accounts.items():
        email = spelling(account, lower_case)
        password_hash = account.get("password_hash", "")
        can_log_in = password_hash != "" and "disabled_at" not in account
        record = imported.get(user)
        is_changed = record is None or record["changed"]
        if user in rows:
            if record and record["email_changed"] and compared(rows[user]) != compared(email):
                result.emails[user] = email
            if can_log_in and is_changed and password_hash != users.hashes[user]:
                result.hashes[user] = password_hash
                result.counts["got the password hash that they have at Signet"] += 1
            elif not can_log_in and is_changed:
                result.hashes[user] = unusable
                result.counts["locked, because they are disabled or have no password at Signet"] += 1
        elif record:
            result.counts["left out, because they were deleted in the original"] += 1
        elif not can_log_in:
            why = "disabled" if "disabled_at" in account else "without a password"
            result.lines.append(f"left out: {user} {email} signed up at Signet and is {why} there")
            result.counts["left out, because they are disabled or have no password at Signet"] += 1
        else:
            result.inserted[user] = email
    wanted = result.emails | result.inserted
    result.conflicts = find_conflicts(rows, wanted)
    for user, other in result.conflicts.items():
        what = "the address of" if user in rows else "the user"
        at_signet, kept = f"{user} {wanted[user]}", f"{users.ids.get(other, other)} {(wanted | rows)[other]}"
        result.lines.append(f"not written: {what} {at_signet}, because the original has {kept}")
        result.emails.pop(user, None)
        result.inserted.pop(user, None)
    result.counts["got the address that they have at Signet"] = len(result.emails)
    result.counts["inserted, because they signed up at Signet"] = len(result.inserted)
    result.counts["not written, see above"] = len(result.conflicts)
    return result


def hash_of_random_password() -> str:
    """A hash of a password that nobody knows: the original has no column for a user without one."""
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise Stop("the module argon2 is missing: pip install argon2-cffi") from error
    return PasswordHasher().hash(secrets.token_urlsafe(32))

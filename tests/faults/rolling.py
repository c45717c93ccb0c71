"""A rolling upgrade: two versions serve side by side on one PostgreSQL (F16).

1. The old version serves. The new version starts beside it and migrates, and both serve.
2. Downgrade: the new version is stopped, and the old one serves alone.
3. Upgrade: the new version starts again, and the old one is stopped.
4. The schema is migrated down, and the old version starts alone. No session may be lost.

Sessions start, refresh and end on both versions, and both rotate keys. No request may be rejected.
OLD_BIN is a build of the previous version (`git worktree add ../old HEAD~20 && cargo build`),
NEW_BIN the new one. Both default to the current build.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import jwt
from harness import (
    SIGNET_BIN,
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    clean_environment,
    httpx,
    is_running,
    milliseconds,
    time_limit,
    wait_for,
)

import processes  # noqa: E402, I001  # harness has added its directory to the path

OLD = Path(os.environ.get("OLD_BIN", SIGNET_BIN)).absolute()
NEW = Path(os.environ.get("NEW_BIN", SIGNET_BIN)).absolute()
SECONDS = 15
SETTINGS = {
    "SIGNET_JWKS_MAX_AGE_SECONDS": "1",
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "0",
    "SIGNET_KEY_ROTATION_SECONDS": "0",
    "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION": "true",
}


def start(signet, binary):
    """Starts an instance of this version with those settings that the version supports."""
    processes.SIGNET_BIN = binary
    help_text = subprocess.run(
        [binary, "serve", "--help"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = set(re.findall(r"SIGNET_[A-Z0-9_]+", help_text))
    signet.settings = {name: value for name, value in signet.settings.items() if name in known}
    return signet.start()


def run(signet, binary, *arguments):
    """Runs a command of this version. Returns its exit code and output."""
    finished = subprocess.run(
        [str(binary), *arguments],
        cwd=signet.output_path.parent,
        env={**clean_environment(), **signet.settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stdout


def applied_migrations(cluster):
    return cluster.execute("SELECT count(*) FROM seaql_migrations")[0][0]


def main(report, workspace):
    cluster = workspace.cluster()
    old = workspace.signet(cluster.url("signet"), **SETTINGS)
    new = workspace.signet(cluster.url("signet"), settings_of=old)
    start(old, OLD)
    before = applied_migrations(cluster)

    answers, took, wrong, kids = Counter(), [], [], Counter()
    unavailable_at = []  # times of 503 responses
    instances, clients = [old], []

    def roaming_client(number):
        client = Client(old.url).sign_up()
        clients.append(client)
        step = [number]

        def next_instance():
            step[0] += 1
            url = instances[step[0] % len(instances)].url
            client.http = connections.setdefault(
                (number, url), httpx.Client(base_url=url, timeout=20)
            )
            return "new" if url == new.url else "old"

        def send(what, call):
            """Sends a request. Repeats it after a 503, which is possible during the migration."""
            where = next_instance()
            for _ in range(20):
                answer = call()
                answers[what, where, answer.status_code] += 1
                if answer.status_code != 503:
                    break
                unavailable_at.append(time.monotonic())
                time.sleep(0.1)
            return answer

        def work():
            started = time.monotonic()
            answer = send("refresh", client.refresh)
            took.append(time.monotonic() - started)
            if answer.status_code == 200:
                kids[jwt.get_unverified_header(client.body["access_token"])["kid"]] += 1
            send("me", client.me)
            if step[0] % 9 == 0:
                bearer = {"Authorization": f"Bearer {client.body['access_token']}"}
                send("logout", lambda: client.http.post("/api/auth/logout", headers=bearer))
                next_instance()
                after_logout = client.refresh()
                if after_logout.status_code not in (401, 503):
                    wrong.append(("refreshed after logout", after_logout.status_code))
                answer = send("login", client.log_in)
                if answer.status_code == 200:
                    client.body = answer.json()

        return work

    connections = {}
    commands = []
    with Loop(*map(roaming_client, range(6)), pause=0.01) as loops:
        time.sleep(3)
        migrating = time.monotonic()
        start(new, NEW)
        migrated = time.monotonic()
        report.figure("migrations", f"{before}, then {applied_migrations(cluster)}")
        instances.append(new)
        for turn, (signet, binary) in enumerate(((new, NEW), (old, OLD))):
            time.sleep(SECONDS / 3)
            if turn == 0 or OLD == NEW or applied_migrations(cluster) == before:
                commands.append(run(signet, binary, "keys", "rotate"))
        time.sleep(SECONDS / 3)
        ready = [httpx.get(f"{it.url}/readyz").status_code for it in instances]
        codes = [drain(instances, new)]
        start(new, NEW)
        instances.append(new)
        time.sleep(1)
        codes.append(drain(instances, old))
        alive = is_running(new)
    report.figure(
        "answers", {" ".join(map(str, it)): n for it, n in sorted(answers.items(), key=str)}
    )
    report.figure("time of a refresh", milliseconds(took))
    report.figure("keys that signed", len(kids))
    bad = {it: n for it, n in answers.items() if it[2] not in (200, 503)}
    report.check(not bad, f"no request is refused {bad}")
    outside_migration = [it for it in unavailable_at if not migrating <= it <= migrated + 1]
    report.figure("503 during the migration, successful on retry", len(unavailable_at))
    report.check(not outside_migration, f"503 outside the migration: {len(outside_migration)}")
    report.check(not wrong, f"a logout at one instance ends the session at the other {wrong[:2]}")
    report.check(ready == [200, 200], f"both instances are ready side by side {ready}")
    report.check(all(it[0] == 0 for it in commands), f"keys are rotated {commands}")
    report.check(len(kids) >= 2, "the new key signs")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    # A refresh after a logout presents the token of an ended session, which is not reuse.
    report.check(reuse == 0, f"false reuse revocations: {reuse}")
    report.check(
        codes == [0, 0] and alive, f"each instance exits with 0 while the other serves {codes}"
    )
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")

    if OLD != NEW and applied_migrations(cluster) != before:
        processes.SIGNET_BIN = OLD
        code, output = old.start_expecting_exit()
        last = output.strip().splitlines()[-1]
        report.check(
            0 < code < 101 and "newer schema" in output,
            f"the old version refuses to start ({last})",
        )
        migrate_down(report, cluster, (old, new), clients, before)
    processes.SIGNET_BIN = SIGNET_BIN


def drain(instances, signet):
    """Takes an instance out of rotation and stops it. The other one serves alone for a while."""
    instances.remove(signet)
    time.sleep(0.5)
    code = signet.stop()
    time.sleep(3)
    return code


def migrate_down(report, cluster, versions, clients, before):
    """Migrates down to the schema of the previous version, which then starts alone."""
    old, new = versions
    waits = "SELECT count(*) FROM outbox WHERE kind <> 'logout_notice'"
    wait_for(
        lambda: cluster.execute(waits)[0][0] == 0, 30, "the rows of ended sessions are updated"
    )
    new.stop()
    steps = str(applied_migrations(cluster) - before)
    code, output = run(new, NEW, "migrate", "down", "--steps", steps)
    report.check(
        code == 0, f"the schema is migrated down by {steps} steps {output if code else ''}"
    )
    start(old, OLD)
    got = Counter()
    for client in clients:
        client.http = httpx.Client(base_url=old.url, timeout=20)
        for answer in (client.me(), client.refresh(), client.me()):
            got[answer.status_code] += 1
    report.check(set(got) == {200}, f"the downgrade logs no user out {dict(got)}")


if __name__ == "__main__":
    report = Report(f"rolling: {OLD.name} and {NEW.name} side by side")
    with time_limit(240), Workspace() as workspace:
        main(report, workspace)
    report.end()

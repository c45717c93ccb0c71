"""Starts and migrations (F15, F16).

A start with a wrong key or database fails before its first write. Further tests: concurrent first
starts, `kill -9` during a migration, and a newer schema beside a running instance.
"""

import random
import time

from harness import (
    REPOSITORY,
    Client,
    Counter,
    Report,
    Workspace,
    command,
    httpx,
    is_running,
    time_limit,
    wait_for,
)

PAIRS = 6
KILLS = 20
STEPS = str(len(list((REPOSITORY / "migration/src").glob("m2*.rs"))))


def jwks(signet):
    return httpx.get(f"{signet.url}/.well-known/jwks.json").json()


def check_start_fails(report, cluster, signet, database, cause, naming):
    before = cluster.dump(database)
    code, output = signet.start_expecting_exit()
    unchanged = cluster.dump(database) == before
    named = any(name in output for name in naming)
    last_line = output.strip().splitlines()[-1] if output.strip() else ""
    report.check(
        0 < code < 101 and unchanged and named,
        f"{cause}: the start fails and changes nothing ({last_line})",
    )


def wrong_keys(report, workspace, cluster):
    for name in ("one", "two", "foreign"):
        cluster.create(name)
    one = workspace.signet(cluster.url("one")).start()
    Client(one.url).sign_up()
    two = workspace.signet(cluster.url("two")).start()
    Client(two.url).sign_up()
    one.stop()
    two.stop()
    url = one.settings["SIGNET_DATABASE_URL"]
    one.settings["SIGNET_DATABASE_URL"] = two.settings["SIGNET_DATABASE_URL"]
    check_start_fails(report, cluster, one, "two", "DSN of another Signet", ["another master key"])
    one.settings["SIGNET_DATABASE_URL"] = url
    own_key = one.master_key_path.read_bytes()
    one.master_key_path.write_bytes(two.master_key_path.read_bytes())
    check_start_fails(report, cluster, one, "one", "wrong master key", ["another master key"])
    assert command(one, "migrate", "down", "--steps", "1").wait(30) == 0
    check_start_fails(
        report, cluster, one, "one", "wrong key, older schema", ["another master key"]
    )
    one.master_key_path.unlink()
    check_start_fails(report, cluster, one, "one", "no key, older schema", ["is missing"])
    report.check(not one.master_key_path.exists(), "the start creates no new key")
    one.master_key_path.write_bytes(own_key)
    one.master_key_path.chmod(0o600)
    one.start().stop()

    cluster.execute("CREATE TABLE account (name text)", database="foreign")
    cluster.execute("INSERT INTO account VALUES ('theirs')", database="foreign")
    third = workspace.signet(cluster.url("foreign"))
    check_start_fails(report, cluster, third, "foreign", "DSN of another application", ["account"])


def concurrent_starts(report, workspace, cluster):
    """Two instances start concurrently, on an empty schema and on an older one."""
    for kind in ("empty", "older"):
        kids, failures = [], []
        for number in range(PAIRS):
            name = f"{kind}{number}"
            cluster.create(name)
            first = workspace.signet(cluster.url(name))
            second = workspace.signet(cluster.url(name), settings_of=first)
            # On the empty schema, both instances also create the master key concurrently.
            if kind == "older":
                first.start().stop()
                steps = str(1 + number % int(STEPS))
                assert command(first, "migrate", "down", "--steps", steps).wait(30) == 0
            for signet in (first, second):
                signet._serve({})
            for signet in (first, second):
                try:
                    signet.wait_until_ready(f"{signet.url}/readyz")
                except AssertionError as error:
                    failures.append(str(error)[-400:])
            if not failures:
                sets = [jwks(signet) for signet in (first, second)]
                kids.append(len(sets[0]["keys"]) == 1 and sets[0] == sets[1])
            first.kill()
            second.kill()
        report.check(not failures, f"{PAIRS} pairs on an {kind} schema start {failures[:1]}")
        report.check(all(kids) and len(kids) == PAIRS, "each pair shares one key")


def killed_migrations(report, workspace, cluster):
    found = Counter()
    cluster.create("killed")
    signet = workspace.signet(cluster.url("killed"))
    tables = (
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        " AND tablename <> 'seaql_migrations'"
    )
    started = time.monotonic()
    assert command(signet, "migrate", "up").wait(30) == 0
    whole = time.monotonic() - started
    complete = cluster.execute(tables, database="killed")[0][0]
    for number in range(KILLS):
        # Migrations down and up alternate, so that both kinds are interrupted.
        steps = ("up",) if number % 2 else ("down", "--steps", STEPS)
        process = command(signet, "migrate", *steps)
        time.sleep(random.uniform(0.2, 1.1) * whole)
        process.kill()
        found["killed" if process.wait(10) < 0 else "done before"] += 1
        wait_for(
            lambda: (
                not cluster.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'signet'"
                    " AND datname = 'killed'"
                )
            ),
            10,
            "the server has noticed",
        )
        count = cluster.execute(tables, database="killed")[0][0]
        found["none" if count == 0 else "all" if count == complete else f"{count} tables"] += 1
        if number % 2 == 0:
            # Completes the interrupted migration for the next round.
            assert command(signet, "migrate", "down", "--steps", STEPS).wait(30) in (0, 1)
        else:
            assert command(signet, "migrate", "up").wait(30) == 0
    report.figure(f"after {KILLS} kills, state of the schema", dict(found))
    report.check(
        set(found) <= {"none", "all", "killed", "done before"}, "the complete schema, or none"
    )
    signet.start()
    report.check(Client(signet.url).sign_up(), "the instance starts and works afterwards")
    signet.stop()


def newer_schema(report, workspace, cluster):
    cluster.create("newer")
    running = workspace.signet(cluster.url("newer")).start()
    client = Client(running.url).sign_up()
    cluster.execute(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000000_future', 0)",
        database="newer",
    )
    second = workspace.signet(cluster.url("newer"), settings_of=running)
    second.master_key_path = running.master_key_path
    # Writes of the running instance are not those of the failed start.
    check_start_fails(report, cluster, second, "newer", "newer schema", ["m29990101_000000_future"])
    report.check(
        httpx.get(f"{running.url}/readyz").status_code == 200, "the running instance is ready"
    )
    report.check(client.refresh().status_code == 200, "the running instance refreshes")
    report.check(client.log_in().status_code == 200, "the running instance logs in")
    report.check(is_running(running), "the running instance keeps running")


if __name__ == "__main__":
    report = Report("migrations: wrong keys, wrong databases, concurrent starts, kill -9")
    with time_limit(240), Workspace() as workspace:
        cluster = workspace.cluster()
        wrong_keys(report, workspace, cluster)
        concurrent_starts(report, workspace, cluster)
        killed_migrations(report, workspace, cluster)
        newer_schema(report, workspace, cluster)
    report.end()

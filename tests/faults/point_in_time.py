"""W9: PostgreSQL is restored to a point in time, from a base backup and archived write-ahead log.

Clients log out, refresh and sign up after that point, and an account is disabled. The start then
refuses the database; after `signet restored` no earlier credential works, and new logins do.
"""

import time

from harness import (
    PASSWORD,
    Client,
    Cluster,
    Place,
    Report,
    Signet,
    at_most,
    command,
    shutil,
    wait_for,
)


def archived(place: Place) -> Cluster:
    """A server that archives its write-ahead log."""
    primary = place.cluster()
    archive = primary.directory / "archive"
    archive.mkdir()
    archive.chmod(0o777)
    primary.execute("ALTER SYSTEM SET archive_mode = 'on'")
    primary.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    primary.stop("fast")
    return primary.start()


def recovered(place: Place, primary: Cluster, copy: Cluster, target: str) -> Cluster:
    """The base backup, recovered to that time as an operator does."""
    data = copy.directory / "data"
    (data / "standby.signal").unlink()
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {primary.directory}/archive/%f %p'\n")
        settings.write(f"recovery_target_time = '{target}'\n")
        settings.write("recovery_target_action = 'promote'\n")
        settings.write("archive_mode = 'off'\nprimary_conninfo = ''\n")
    (data / "recovery.signal").touch()
    shutil.chown(data / "recovery.signal", copy._user)
    copy.start()
    wait_for(lambda: copy.execute("SELECT pg_is_in_recovery()") == [(False,)], 60, "it is promoted")
    return copy


def run(signet: Signet, *arguments: str) -> str:
    process = command(signet, *arguments)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def main(report: Report, place: Place) -> None:
    primary = archived(place)
    link = place.link(primary)
    signet = place.signet(primary.url("signet", link.port)).start()
    ada, bob, cleo = (Client(signet.url).sign_up() for _ in range(3))
    copy = primary.standby(primary.port)
    place._stack.callback(copy.remove)
    dora = Client(signet.url).sign_up()
    time.sleep(1)
    target = primary.execute("SELECT clock_timestamp()::text")[0][0]
    time.sleep(4)
    before = [client.body for client in (ada, bob, cleo, dora)]
    bearer = {"Authorization": f"Bearer {ada.body['access_token']}"}
    assert ada.http.post("/api/auth/logout", headers=bearer).status_code == 200
    run(signet, "account", "disable", bob.email)
    assert cleo.refresh().status_code == 200
    eve = Client(signet.url).sign_up()
    before += [cleo.body, eve.body]
    signet.stop()
    primary.execute("SELECT pg_switch_wal()")
    primary.stop("fast")
    recovered(place, primary, copy, target)
    link.lead_to(copy.port)

    there = {email for (email,) in copy.execute("SELECT email FROM account")}
    report.holds(
        dora.email in there and eve.email not in there, "its state is that of the point in time"
    )
    code, said = signet.start_expecting_exit()
    report.holds(code == 1 and "signet restored" in said, "the start refuses it")
    said = run(signet, "restored")
    report.holds("disabled" in said, "the command prints what it cannot undo")
    signet.start()
    client = Client(signet.url)
    revived = 0
    for body in before:
        client.body = dict(body)
        revived += client.me().status_code != 401
        revived += client.refresh().status_code != 401
    report.figure("earlier tokens that work", f"{revived} of {2 * len(before)}")
    report.holds(revived == 0, "no earlier credential works")
    reuse = copy.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.holds(reuse == 0, "no reuse is detected")
    ada.body = ada.post("/api/auth/login", email=ada.email, password=PASSWORD).json()
    report.holds(ada.refresh().status_code == 200, "new sessions continue")


if __name__ == "__main__":
    report = Report("point_in_time: PostgreSQL is restored to a point in time")
    with at_most(240), Place() as place:
        main(report, place)
    report.end()

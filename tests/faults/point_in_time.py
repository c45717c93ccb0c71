"""PostgreSQL is restored to a point in time, from a base backup and archived write-ahead log (W9).

After that point, clients log out, refresh and sign up, and an account is disabled. The instance
must then refuse to start. After `signet restored`, no earlier credential may work, while new
logins must succeed.
"""

import time

from harness import (
    PASSWORD,
    Client,
    Cluster,
    Report,
    Signet,
    Workspace,
    command,
    shutil,
    time_limit,
    wait_for,
)


def archiving_cluster(workspace: Workspace) -> Cluster:
    """A server that archives its write-ahead log."""
    primary = workspace.cluster()
    archive = primary.directory / "archive"
    archive.mkdir()
    archive.chmod(0o777)
    primary.execute("ALTER SYSTEM SET archive_mode = 'on'")
    primary.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    primary.stop("fast")
    return primary.start()


def recover(workspace: Workspace, primary: Cluster, copy: Cluster, target: str) -> Cluster:
    """Starts the base backup and recovers it to the target time, as an operator would."""
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
    wait_for(
        lambda: copy.execute("SELECT pg_is_in_recovery()") == [(False,)],
        60,
        "the server is promoted",
    )
    return copy


def run(signet: Signet, *arguments: str) -> str:
    process = command(signet, *arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def main(report: Report, workspace: Workspace) -> None:
    primary = archiving_cluster(workspace)
    link = workspace.link(primary)
    signet = workspace.signet(primary.url("signet", link.port)).start()
    ada, bob, cleo = (Client(signet.url).sign_up() for _ in range(3))
    copy = primary.standby(primary.port)
    workspace._stack.callback(copy.remove)
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
    recover(workspace, primary, copy, target)
    link.forward_to(copy.port)

    stored = {email for (email,) in copy.execute("SELECT email FROM account")}
    report.check(
        dora.email in stored and eve.email not in stored,
        "the database has the state of the point in time",
    )
    code, output = signet.start_expecting_exit()
    report.check(code == 1 and "signet restored" in output, "the instance refuses to start")
    output = run(signet, "restored")
    report.check("disabled" in output, "`signet restored` prints what it cannot undo")
    signet.start()
    client = Client(signet.url)
    accepted = 0
    for body in before:
        client.body = dict(body)
        accepted += client.me().status_code != 401
        accepted += client.refresh().status_code != 401
    report.figure("earlier tokens that work", f"{accepted} of {2 * len(before)}")
    report.check(accepted == 0, "no earlier credential works")
    reuse = copy.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.check(reuse == 0, "no reuse is detected")
    ada.body = ada.post("/api/auth/login", email=ada.email, password=PASSWORD).json()
    report.check(ada.refresh().status_code == 200, "new sessions continue")


if __name__ == "__main__":
    report = Report("point_in_time: PostgreSQL is restored to a point in time")
    with time_limit(240), Workspace() as workspace:
        main(report, workspace)
    report.end()

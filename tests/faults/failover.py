"""The primary fails and its standby is promoted, with both kinds of replication (F8).

In each round the replication link loses data for a while, and then the primary is killed. The
standby is promoted, and a proxy forwards the instance's connections to it. Clients log out, refresh
and sign up continuously, and record acknowledged writes. Synchronous replication must not lose any
of these. With asynchronous replication, the test checks that some are lost.
"""

import time

from harness import (
    PASSWORD,
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    httpx,
    is_running,
    time_limit,
    wait_for,
)

ROUNDS = 3
LOGOUTS = 60
LAG = 3.0  # seconds without replication before the primary is killed


class AcknowledgedWrites:
    """The writes that were acknowledged to clients."""

    def __init__(self):
        self.answers = Counter()
        self.ended = []  # refresh tokens of sessions whose end was acknowledged
        self.began = []  # email addresses whose sign-up was acknowledged
        self.late = Counter()  # acknowledged writes that the standby did not receive

    def sign_up_client(self, url):
        def work():
            client = Client(url)
            answer = client.post("/api/auth/signup", email=client.email, password=PASSWORD)
            self.answers["signup", answer.status_code] += 1
            if answer.status_code == 201:
                self.began.append(client.email)
            time.sleep(0.1)

        return work

    def logout_client(self, clients):
        """Logs out one session after the other, each with retries until it is acknowledged."""

        def work():
            time.sleep(0.1)
            if not clients:
                return
            client = clients.pop()
            for _ in range(100):
                bearer = {"Authorization": f"Bearer {client.body['access_token']}"}
                answer = client.http.post("/api/auth/logout", headers=bearer)
                self.answers["logout", answer.status_code] += 1
                if answer.status_code == 200:
                    self.ended.append(client.body["refresh_token"])
                if answer.status_code != 503:
                    return
                time.sleep(0.05)

        return work

    def refreshing_client(self, client):
        def work():
            answer = client.refresh()
            self.answers["refresh", answer.status_code] += 1
            if answer.status_code != 200:
                time.sleep(0.05)

        return work


def fail_over(workspace, acknowledged_writes, synchronous):
    primary = workspace.cluster()
    replication_link = workspace.link(primary)
    standby = workspace.standby(primary, replication_link.port)
    streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_for(lambda: primary.execute(streaming)[0][0] == 1, 20, "the standby streams")
    if synchronous:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.execute("SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: primary.execute(state) == [("sync",)], 20, "the standby is synchronous")
    link = workspace.link(primary)
    signet = workspace.signet(primary.url("signet", link.port)).start()
    clients = [Client(signet.url).sign_up() for _ in range(4)]
    to_log_out = [Client(signet.url).sign_up() for _ in range(LOGOUTS)]
    logout_clients = [acknowledged_writes.logout_client(to_log_out) for _ in range(2)]
    work = [
        *logout_clients,
        *map(acknowledged_writes.refreshing_client, clients),
        acknowledged_writes.sign_up_client(signet.url),
    ]
    with Loop(*work, pause=0.02) as loops:
        time.sleep(1)
        replication_link.set("silent")
        before = len(acknowledged_writes.ended) + len(acknowledged_writes.began)
        time.sleep(LAG)
        acknowledged_writes.late["acknowledged while the standby received nothing"] += (
            len(acknowledged_writes.ended) + len(acknowledged_writes.began) - before
        )
        primary.stop("immediate")
        standby.execute("SELECT pg_promote()")
        link.forward_to(standby.port)
        took = wait_for(
            lambda: httpx.get(f"{signet.url}/readyz").status_code == 200, 30, "ready again"
        )
        time.sleep(3)
    assert is_running(signet), "the process is running"
    assert not loops.errors, loops.errors[:2]
    undone_logouts = [
        it
        for it in acknowledged_writes.ended
        if httpx.post(
            f"{signet.url}/api/auth/refresh", json={"refresh_token": it}, timeout=20
        ).status_code
        == 200
    ]
    stored = {email for (email,) in standby.execute("SELECT email FROM account")}
    lost = [it for it in acknowledged_writes.began if it not in stored]
    reuse = standby.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    is_logged = "the database has gone back" in signet.output
    return undone_logouts, lost, reuse, took, is_logged


def main(report):
    for synchronous in (True, False):
        kind = "synchronous" if synchronous else "asynchronous"
        total, undone_logouts, lost, reuse, recoveries, logged = Counter(), 0, 0, 0, [], 0
        acknowledged = 0
        for _ in range(ROUNDS if synchronous else 1):
            acknowledged_writes = AcknowledgedWrites()
            with Workspace() as workspace:
                round_undone, round_lost, reused, took, is_logged = fail_over(
                    workspace, acknowledged_writes, synchronous
                )
            undone_logouts, lost, reuse = (
                undone_logouts + len(round_undone),
                lost + len(round_lost),
                reuse + reused,
            )
            acknowledged += len(acknowledged_writes.ended) + len(acknowledged_writes.began)
            total += acknowledged_writes.answers
            total += acknowledged_writes.late
            recoveries.append(took)
            logged += is_logged
        print(f"-- {kind}, {len(recoveries)} fail-overs", flush=True)
        report.figure(
            "answers",
            {
                " ".join(map(str, it)) if isinstance(it, tuple) else it: count
                for it, count in total.items()
            },
        )
        report.figure("acknowledged logouts and sign-ups", acknowledged)
        report.figure("logouts undone, accounts lost, reuse", f"{undone_logouts}, {lost}, {reuse}")
        report.figure("ready again after", f"at most {max(recoveries) * 1e3:.0f} ms")
        if synchronous:
            report.check(undone_logouts == 0, "no acknowledged logout is undone")
            report.check(lost == 0, "no acknowledged account is lost")
            report.check(reuse == 0, f"false reuse revocations: {reuse}")
            report.check(logged == 0, "the log does not say that the database has gone back")
        else:
            report.check(
                undone_logouts > 0 and lost > 0,
                "acknowledged writes are lost: asynchronous replication is unsuitable",
            )
            report.check(logged == 1, "the log says that the database has gone back")
        report.check(max(recoveries) <= 2.0, "ready within 2 s of the promotion")


if __name__ == "__main__":
    report = Report("failover: the primary fails, its standby is promoted")
    with time_limit(240):
        main(report)
    report.end()

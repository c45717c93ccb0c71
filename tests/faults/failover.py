"""F8: the primary is lost and its standby takes over, with synchronous and asynchronous
replication.

In each round the link between the two loses data for a while, and then the primary is killed; the
standby is promoted, and a proxy leads the instance to it. Clients log out, refresh and sign up
continuously, and record what was acknowledged. Synchronous replication must not lose any of it;
asynchronous replication may, which is observed here.
"""

import time

from harness import (
    PASSWORD,
    Client,
    Counter,
    Loop,
    Place,
    Report,
    at_most,
    httpx,
    is_alive,
    wait_for,
)

ROUNDS = 3
LEAVERS = 60
LAG = 3.0  # time without replication before the primary is killed


class Ledger:
    """What was acknowledged to clients."""

    def __init__(self):
        self.answers = Counter()
        self.ended = []  # refresh tokens of sessions whose end was acknowledged
        self.began = []  # addresses whose sign-up was acknowledged
        self.late = Counter()

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
        """Ends one session after another, each with retries until that is acknowledged."""

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

    def refresher(self, client):
        def work():
            answer = client.refresh()
            self.answers["refresh", answer.status_code] += 1
            if answer.status_code != 200:
                time.sleep(0.05)

        return work


def fail_over(place, ledger, synchronous):
    primary = place.cluster()
    between = place.link(primary)
    standby = place.standby(primary, between.port)
    following = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
    wait_for(lambda: primary.execute(following)[0][0] == 1, 20, "the standby follows")
    if synchronous:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.execute("SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_for(lambda: primary.execute(state) == [("sync",)], 20, "it is synchronous")
    link = place.link(primary)
    signet = place.signet(primary.url("signet", link.port)).start()
    clients = [Client(signet.url).sign_up() for _ in range(4)]
    leaving = [Client(signet.url).sign_up() for _ in range(LEAVERS)]
    leavers = [ledger.logout_client(leaving) for _ in range(2)]
    work = [*leavers, *map(ledger.refresher, clients), ledger.sign_up_client(signet.url)]
    with Loop(*work, pause=0.02) as loops:
        time.sleep(1)
        between.set("silent")
        before = len(ledger.ended) + len(ledger.began)
        time.sleep(LAG)
        ledger.late["acknowledged while the standby received nothing"] += (
            len(ledger.ended) + len(ledger.began) - before
        )
        primary.stop("immediate")
        standby.execute("SELECT pg_promote()")
        link.lead_to(standby.port)
        took = wait_for(
            lambda: httpx.get(f"{signet.url}/readyz").status_code == 200, 30, "ready again")
        time.sleep(3)
    assert is_alive(signet), "the process is running"
    assert not loops.errors, loops.errors[:2]
    revived = [it for it in ledger.ended
               if httpx.post(f"{signet.url}/api/auth/refresh", json={"refresh_token": it},
                             timeout=20).status_code == 200]
    there = {email for (email,) in standby.execute("SELECT email FROM account")}
    lost = [it for it in ledger.began if it not in there]
    reuse = standby.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    is_told = "the database has gone back" in signet.output
    return revived, lost, reuse, took, is_told


def main(report):
    for synchronous in (True, False):
        kind = "synchronous" if synchronous else "asynchronous"
        total, revived, lost, reuse, recoveries, told = Counter(), 0, 0, 0, [], 0
        acknowledged = 0
        for _ in range(ROUNDS if synchronous else 1):
            ledger = Ledger()
            with Place() as place:
                again, gone, reused, took, is_told = fail_over(place, ledger, synchronous)
            revived, lost, reuse = revived + len(again), lost + len(gone), reuse + reused
            acknowledged += len(ledger.ended) + len(ledger.began)
            total += ledger.answers
            total += ledger.late
            recoveries.append(took)
            told += is_told
        print(f"-- {kind}, {len(recoveries)} fail-overs", flush=True)
        report.figure("answers", {" ".join(map(str, it)) if isinstance(it, tuple) else it: count
                                  for it, count in total.items()})
        report.figure("acknowledged logouts and sign-ups", acknowledged)
        report.figure("logouts undone, accounts lost, reuse", f"{revived}, {lost}, {reuse}")
        report.figure("ready again after", f"at most {max(recoveries) * 1e3:.0f} ms")
        if synchronous:
            report.holds(revived == 0, "no acknowledged logout is undone")
            report.holds(lost == 0, "no acknowledged account is lost")
            report.holds(reuse == 0, f"false reuse revocations: {reuse}")
            report.holds(told == 0, "no database rollback is logged")
        else:
            report.holds(revived > 0 and lost > 0, "acknowledged writes are lost: do not use it")
            report.holds(told == 1, "the database rollback is logged as an error")
        report.holds(max(recoveries) <= 2.0, "ready within 2 s of the promotion")


if __name__ == "__main__":
    report = Report("failover: the primary is lost, its standby takes over")
    with at_most(240):
        main(report)
    report.end()

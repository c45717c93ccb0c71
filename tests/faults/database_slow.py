"""F7: PostgreSQL is slow: a link with a delay of 500 ms and of 3 s, and locks by other
transactions.

Requests meet their deadlines, abandoned statements are cancelled on the server, connections stay
within the pool, retries do not flood the database, and everything recovers with it.
"""

import time

from harness import (
    DOCUMENTS,
    Client,
    Counter,
    Loop,
    Place,
    Report,
    at_most,
    httpx,
    is_alive,
    milliseconds,
    percentile,
)

POOL = 8
SLOW_SECONDS = 12
WAIT = 5.0  # SIGNET_DATABASE_WAIT_SECONDS


class Calls:
    def __init__(self):
        self.all = []  # (started, took, status)

    def of(self, ask):
        def work():
            started = time.monotonic()
            answer = ask()
            self.all.append((started, time.monotonic() - started, answer.status_code))

        return work

    def between(self, start, end):
        return [it for it in list(self.all) if start <= it[0] < end]


def run(report, name, cluster, link, signet, make_slow, make_fast):
    print(f"-- {name}, {SLOW_SECONDS} s", flush=True)
    clients = [Client(signet.url).sign_up() for _ in range(12)]
    plain = httpx.Client(base_url=signet.url, timeout=30)
    documents, refreshes, logins = Calls(), Calls(), Calls()
    work = [documents.of(lambda path=path: plain.get(path)) for path in DOCUMENTS]
    work += [refreshes.of(it.refresh) for it in clients[:10]]
    work += [logins.of(it.log_in) for it in clients[10:]]
    most = 0
    with Loop(*work, pause=0.05) as loops:
        time.sleep(1)
        slow_at = time.monotonic()
        held = make_slow(clients)
        accepted = link.accepted
        while time.monotonic() - slow_at < SLOW_SECONDS:
            most = max(most, cluster.connections())
            time.sleep(0.1)
        attempts = (link.accepted - accepted) / SLOW_SECONDS
        make_fast(held)
        fast_at = time.monotonic()
        time.sleep(4)
    end = time.monotonic()
    asked = documents.between(slow_at, end)
    report.holds(asked and all(it[2] == 200 for it in asked), "JWKS, discovery, /livez: 100 %")
    for what, calls in (("refresh", refreshes), ("login", logins)):
        during = calls.between(slow_at, fast_at)
        took = [it[1] for it in during]
        statuses = dict(Counter(it[2] for it in during))
        report.figure(what, f"{milliseconds(took)}; {statuses}")
        # A login is three transactions and a hash, each with its own deadline.
        bound = WAIT + 0.5 if what == "refresh" else WAIT + 3.0
        report.holds(percentile(took, 0.99) <= bound, f"{what}: answered within {bound} s")
        report.holds(set(statuses) <= {200, 503}, f"{what}: 200 or 503")
        after = calls.between(fast_at, end)
        bad = [it[0] + it[1] for it in after if it[2] != 200]
        good = min((it[0] + it[1] for it in after if it[2] == 200), default=float("inf"))
        recovered = max([good, *bad]) - fast_at
        report.holds(recovered <= 2.0, f"{what}: recovered after {recovered * 1e3:.0f} ms")
    report.figure("connections: maximum; opened per second", f"{most}; {attempts:.1f}")
    report.holds(most <= 2 * POOL, "at most twice the pool size in connections")
    report.holds(attempts <= 10, "connection attempts are limited")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet'"
    waiting += " AND state = 'active'"
    report.holds(cluster.execute(waiting)[0][0] <= POOL, "abandoned statements are cancelled")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.holds(reuse == 0, f"false reuse revocations: {reuse}")
    report.holds(is_alive(signet), "the process is running")
    report.holds(not loops.errors, f"no other errors {loops.errors[:2]}")


def main(report):
    for seconds in (0.5, 3.0):
        with Place() as place:
            cluster = place.cluster()
            link = place.link(cluster)
            signet = place.signet(cluster.url("signet", link.port)).start()

            def make_slow(_, seconds=seconds, link=link):
                link.delay = seconds

            def make_fast(_, link=link):
                link.delay = 0.0

            run(report, f"a delay of {seconds} s", cluster, link, signet, make_slow, make_fast)
    with Place() as place:
        cluster = place.cluster()
        link = place.link(cluster)
        signet = place.signet(cluster.url("signet", link.port)).start()

        def lock(clients):
            # Half of the sessions, and the accounts of the logins.
            held = cluster.connect()
            held.autocommit = False
            emails = [it.email for it in clients[:5]]
            held.execute(
                "SELECT * FROM session s JOIN account a ON a.id = s.account_id"
                " WHERE a.email = ANY(%s) FOR UPDATE OF s",
                [emails],
            )
            return held

        run(report, "rows locked", cluster, link, signet, lock, lambda held: held.close())


if __name__ == "__main__":
    report = Report("database_slow: delays of 500 ms and 3 s, locked rows")
    with at_most(200):
        main(report)
    report.end()

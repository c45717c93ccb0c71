"""PostgreSQL is slow (F7): a link delays by 500 ms or 3 s, or other transactions hold locks.

Requests must meet their deadlines. Abandoned statements must be cancelled on the server,
connections must stay within the pool, and retries must not flood the database. All requests must
succeed again once the database is fast.
"""

import time

from harness import (
    DOCUMENTS,
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    httpx,
    is_running,
    milliseconds,
    percentile,
    time_limit,
)

POOL = 8
SLOW_SECONDS = 12
WAIT = 5.0  # SIGNET_DATABASE_WAIT_SECONDS


class RecordedCalls:
    def __init__(self):
        self.all = []  # (started, took, status)

    def recorded(self, call):
        def work():
            started = time.monotonic()
            answer = call()
            self.all.append((started, time.monotonic() - started, answer.status_code))

        return work

    def between(self, start, end):
        return [it for it in list(self.all) if start <= it[0] < end]


def run_case(report, name, cluster, link, signet, make_slow, make_fast):
    print(f"-- {name}, {SLOW_SECONDS} s", flush=True)
    clients = [Client(signet.url).sign_up() for _ in range(12)]
    plain = httpx.Client(base_url=signet.url, timeout=30)
    documents, refreshes, logins = RecordedCalls(), RecordedCalls(), RecordedCalls()
    work = [documents.recorded(lambda path=path: plain.get(path)) for path in DOCUMENTS]
    work += [refreshes.recorded(it.refresh) for it in clients[:10]]
    work += [logins.recorded(it.log_in) for it in clients[10:]]
    max_connections = 0
    with Loop(*work, pause=0.05) as loops:
        time.sleep(1)
        slow_at = time.monotonic()
        locking_connection = make_slow(clients)
        accepted = link.accepted
        while time.monotonic() - slow_at < SLOW_SECONDS:
            max_connections = max(max_connections, cluster.connections())
            time.sleep(0.1)
        attempts = (link.accepted - accepted) / SLOW_SECONDS
        make_fast(locking_connection)
        fast_at = time.monotonic()
        time.sleep(4)
    end = time.monotonic()
    document_calls = documents.between(slow_at, end)
    report.check(
        document_calls and all(it[2] == 200 for it in document_calls),
        "JWKS, discovery, /livez: 100 %",
    )
    for kind, calls in (("refresh", refreshes), ("login", logins)):
        during = calls.between(slow_at, fast_at)
        took = [it[1] for it in during]
        statuses = dict(Counter(it[2] for it in during))
        report.figure(kind, f"{milliseconds(took)}; {statuses}")
        # A login consists of three transactions and a hash, each with its own deadline.
        bound = WAIT + 0.5 if kind == "refresh" else WAIT + 3.0
        report.check(percentile(took, 0.99) <= bound, f"{kind}: answered within {bound} s")
        report.check(set(statuses) <= {200, 503}, f"{kind}: 200 or 503")
        after = calls.between(fast_at, end)
        bad = [it[0] + it[1] for it in after if it[2] != 200]
        good = min((it[0] + it[1] for it in after if it[2] == 200), default=float("inf"))
        recovered = max([good, *bad]) - fast_at
        report.check(recovered <= 2.0, f"{kind}: recovered after {recovered * 1e3:.0f} ms")
    report.figure("connections: maximum; opened per second", f"{max_connections}; {attempts:.1f}")
    report.check(max_connections <= 2 * POOL, "at most twice the pool size in connections")
    report.check(attempts <= 10, "connection attempts are limited")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet'"
    waiting += " AND state = 'active'"
    report.check(cluster.execute(waiting)[0][0] <= POOL, "abandoned statements are cancelled")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.check(reuse == 0, f"false reuse revocations: {reuse}")
    report.check(is_running(signet), "the process is running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")


def main(report):
    for seconds in (0.5, 3.0):
        with Workspace() as workspace:
            cluster = workspace.cluster()
            link = workspace.link(cluster)
            signet = workspace.signet(cluster.url("signet", link.port)).start()

            def make_slow(_, seconds=seconds, link=link):
                link.delay = seconds

            def make_fast(_, link=link):
                link.delay = 0.0

            run_case(report, f"a delay of {seconds} s", cluster, link, signet, make_slow, make_fast)
    with Workspace() as workspace:
        cluster = workspace.cluster()
        link = workspace.link(cluster)
        signet = workspace.signet(cluster.url("signet", link.port)).start()

        def lock(clients):
            # Locks the sessions of half of the refreshing clients.
            locking_connection = cluster.connect()
            locking_connection.autocommit = False
            emails = [it.email for it in clients[:5]]
            locking_connection.execute(
                "SELECT * FROM session s JOIN account a ON a.id = s.account_id"
                " WHERE a.email = ANY(%s) FOR UPDATE OF s",
                [emails],
            )
            return locking_connection

        run_case(
            report,
            "rows locked",
            cluster,
            link,
            signet,
            lock,
            lambda locking_connection: locking_connection.close(),
        )


if __name__ == "__main__":
    report = Report("database_slow: delays of 500 ms and 3 s, locked rows")
    with time_limit(200):
        main(report)
    report.end()

"""PostgreSQL is restarted 50 times under load, `fast` and `immediate` alternately (F8).

The clients of two instances refresh or sign up continuously, and retry after any failure with the
same token or email address. Commits whose acknowledgement was lost must neither end a session nor
be applied twice.
"""

import secrets
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
    milliseconds,
    time_limit,
)

RESTARTS = 50
INTERVAL = 2.0
CLIENTS = 8


def main(report, workspace):
    cluster = workspace.cluster()
    url = cluster.url("signet")
    first = workspace.signet(url).start()
    second = workspace.signet(url, settings_of=first)
    second.start()
    instances = [first, second]

    answers = []  # (time of the response, status, operation)
    successors = {}  # the returned successors, by token
    rejected = []
    signed_up = Counter()

    def refreshing_client(client):
        def work():
            if client in rejected:
                time.sleep(0.1)
                return
            presented = client.body["refresh_token"]
            try:
                answer = client.refresh()
            except httpx.TransportError as error:
                answers.append((time.monotonic(), type(error).__name__, "refresh"))
                return
            answers.append((time.monotonic(), answer.status_code, "refresh"))
            if answer.status_code == 200:
                successors.setdefault(presented, set()).add(client.body["refresh_token"])
            elif answer.status_code == 503:
                time.sleep(0.05)
            else:
                rejected.append(client)

        return work

    def sign_up_client(client):
        def work():
            email = f"{secrets.token_hex(8)}@example.test"
            tries = 0
            while True:
                tries += 1
                answer = client.post("/api/auth/signup", email=email, password=PASSWORD)
                answers.append((time.monotonic(), answer.status_code, "signup"))
                if answer.status_code in (201, 409):
                    # A retry after a 503 may find that the account was created.
                    signed_up[answer.status_code, "at once" if tries == 1 else "after 503"] += 1
                    return
                time.sleep(0.1)

        return work

    clients = [Client(instances[number % 2].url).sign_up() for number in range(CLIENTS)]
    uptimes = []  # (PostgreSQL started, stopped again)
    down = []
    work = [*map(refreshing_client, clients), *[sign_up_client(Client(it.url)) for it in instances]]
    with Loop(*work, pause=0.005) as loops:
        time.sleep(1)
        for number in range(RESTARTS):
            stopped_at = time.monotonic()
            cluster.stop("fast" if number % 2 else "immediate")
            cluster.start()
            started_at = time.monotonic()
            down.append(started_at - stopped_at)
            time.sleep(max(0.0, INTERVAL - (time.monotonic() - stopped_at)))
            uptimes.append((started_at, time.monotonic()))
        time.sleep(2)
        alive = [is_running(it) for it in instances]

    recoveries = []
    for started_at, until in uptimes:
        after = [it for it in answers if started_at <= it[0]]
        bad = [it[0] for it in after if it[1] == 503 and it[0] < until]
        for good in ({200}, {201, 409}):
            first_good = min((it[0] for it in after if it[1] in good), default=float("inf"))
            recoveries.append(max([first_good, *bad]) - started_at)
    refreshed = Counter(status for _, status, operation in answers if operation == "refresh")
    ambiguous = [it for it in successors.values() if len(it) != 1]
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    ended = cluster.execute("SELECT count(*) FROM session WHERE ended_at IS NOT NULL")[0][0]
    # Each refresh of a session has one audit event without a reason; a retry has the reason
    # `retry`.
    uneven = cluster.execute(
        "SELECT s.id, s.generation, count(e.id) FROM session s LEFT JOIN auth_event e"
        " ON e.session_id = s.id AND e.type = 'token_refreshed' AND e.reason IS NULL"
        " GROUP BY s.id, s.generation HAVING count(e.id) <> s.generation"
    )
    retried = cluster.execute(
        "SELECT count(*) FROM auth_event WHERE type = 'token_refreshed' AND reason = 'retry'"
    )[0][0]
    doubled = cluster.execute("SELECT email FROM account GROUP BY email HAVING count(*) > 1")
    orphans = cluster.execute(
        "SELECT count(*) FROM account a WHERE NOT EXISTS"
        " (SELECT 1 FROM session s WHERE s.account_id = a.id)"
    )[0][0]

    report.figure("restarts", f"{RESTARTS}, each {milliseconds(down)} without a database")
    report.figure("refreshes", dict(refreshed))
    report.figure("sign-ups", {" ".join(map(str, key)): it for key, it in signed_up.items()})
    report.figure("commits whose acknowledgement was lost, completed by a retry", retried)
    report.figure("time to permanent recovery", milliseconds(recoveries))
    report.check(set(refreshed) <= {200, 503}, "a refresh is answered with 200 or 503")
    report.check(reuse == 0 and not rejected, f"false reuse revocations: {reuse}")
    report.check(ended == 0, f"sessions ended: {ended}")
    report.check(not ambiguous, f"tokens answered with two successors: {len(ambiguous)}")
    report.check(not uneven, f"sessions with a refresh recorded twice or never: {len(uneven)}")
    report.check(not doubled and orphans == 0, "no account is duplicate or without a session")
    report.check(
        signed_up[409, "at once"] == 0, "no sign-up is rejected without an existing account"
    )
    report.check(
        max(recoveries) <= 2.0, "all requests succeed within 2 s of each start of PostgreSQL"
    )
    report.check(all(alive), "both processes are running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")


if __name__ == "__main__":
    report = Report("restarts: PostgreSQL restarted 50 times under load")
    with time_limit(400), Workspace() as workspace:
        main(report, workspace)
    report.end()

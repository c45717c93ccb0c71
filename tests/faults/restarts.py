"""F8: PostgreSQL is restarted 50 times under load, `fast` and `immediate` alternately.

The clients of two instances refresh continuously and, after any failure, retry with the same token;
others sign up the same way. Commits whose acknowledgement was lost must neither end a session nor
be applied twice.
"""

import secrets
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
    milliseconds,
)

RESTARTS = 50
EVERY = 2.0
CLIENTS = 8


def main(report, place):
    cluster = place.cluster()
    url = cluster.url("signet")
    first = place.signet(url).start()
    second = place.signet(url, like=first)
    second.start()
    instances = [first, second]

    answers = []  # (ended, status, what)
    successors = {}  # for each token: the successors that were returned
    dead = []
    signed_up = Counter()

    def refresher(client):
        def work():
            if client in dead:
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
                dead.append(client)

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
    returns = []  # (back, stopped again)
    down = []
    work = [*map(refresher, clients), *[sign_up_client(Client(it.url)) for it in instances]]
    with Loop(*work, pause=0.005) as loops:
        time.sleep(1)
        for number in range(RESTARTS):
            stopped_at = time.monotonic()
            cluster.stop("fast" if number % 2 else "immediate")
            cluster.start()
            back_at = time.monotonic()
            down.append(back_at - stopped_at)
            time.sleep(max(0.0, EVERY - (time.monotonic() - stopped_at)))
            returns.append((back_at, time.monotonic()))
        time.sleep(2)
        alive = [is_alive(it) for it in instances]

    recoveries = []
    for back_at, until in returns:
        after = [it for it in answers if back_at <= it[0]]
        bad = [it[0] for it in after if it[1] == 503 and it[0] < until]
        for good in ({200}, {201, 409}):
            first_good = min((it[0] for it in after if it[1] in good), default=float("inf"))
            recoveries.append(max([first_good, *bad]) - back_at)
    refreshed = Counter(status for _, status, what in answers if what == "refresh")
    twice = [it for it in successors.values() if len(it) != 1]
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    ended = cluster.execute("SELECT count(*) FROM session WHERE ended_at IS NOT NULL")[0][0]
    # Each step of a session is recorded once; a successful retry is recorded as such.
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
    report.holds(set(refreshed) <= {200, 503}, "a refresh is answered with 200 or 503")
    report.holds(reuse == 0 and not dead, f"false reuse revocations: {reuse}")
    report.holds(ended == 0, f"sessions ended: {ended}")
    report.holds(not twice, f"tokens answered with two successors: {len(twice)}")
    report.holds(not uneven, f"sessions with a step recorded twice or never: {len(uneven)}")
    report.holds(not doubled and orphans == 0, "no duplicate account, none without its session")
    report.holds(
        signed_up[409, "at once"] == 0, "no sign-up is rejected without an existing account"
    )
    report.holds(max(recoveries) <= 2.0, "everything succeeds within 2 s of each return")
    report.holds(all(alive), "both processes are running")
    report.holds(not loops.errors, f"no other errors {loops.errors[:2]}")


if __name__ == "__main__":
    report = Report("restarts: PostgreSQL restarted 50 times under load")
    with at_most(400), Place() as place:
        main(report, place)
    report.end()

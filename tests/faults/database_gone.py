"""F6: PostgreSQL is gone: stopped, silent (dropped packets), refusing, frozen; then it is back.

GONE_SECONDS is a minute: longer than the lease of the signing keys (15 s by default) and the retry
window (10 s), so both run out in each outage. Each client calls sequentially without a pause, and
retries a refresh token until it has received the successor.
"""

import os
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

GONE_SECONDS = float(os.environ.get("GONE_SECONDS", "60"))
CLIENTS = 8

KINDS = ["stopped", "silent", "refuse", "frozen"]


class Watch:
    """The responses of one endpoint, with times and durations."""

    def __init__(self):
        self.answers = []  # (started, took, status, has Retry-After)

    def call(self, ask):
        started = time.monotonic()
        try:
            answer = ask()
            status, retry = answer.status_code, "retry-after" in answer.headers
        except httpx.TransportError as error:
            status, retry = type(error).__name__, False
        self.answers.append((started, time.monotonic() - started, status, retry))
        return status

    def between(self, start, end):
        return [it for it in list(self.answers) if start <= it[0] < end]


def outage(report, cluster, link, signet, kind):
    clients = [Client(signet.url).sign_up() for _ in range(CLIENTS)]
    documents = {path: Watch() for path in DOCUMENTS}
    ready, login, refresh, me = Watch(), Watch(), Watch(), Watch()
    plain = httpx.Client(base_url=signet.url, timeout=30)
    probe = httpx.Client(base_url=signet.url, timeout=30)
    dead = []  # sessions that were rejected without a mistake of their client

    def ask_documents():
        for path, watch in documents.items():
            watch.call(lambda path=path: plain.get(path))

    def refresher(client):
        def work():
            if client in dead:
                time.sleep(0.05)
            elif refresh.call(client.refresh) == 401:
                dead.append(client)

        return work

    before = cluster.connections()
    work = [ask_documents, lambda: ready.call(lambda: probe.get("/readyz"))]
    work += [refresher(it) for it in clients[2:]]
    work += [lambda: me.call(clients[0].me), lambda: login.call(clients[1].log_in)]
    with Loop(*work, pause=0.02) as loops:
        time.sleep(2)
        gone_at = time.monotonic()
        if kind == "stopped":
            cluster.stop("immediate")
        elif kind == "frozen":
            cluster.freeze()
        else:
            link.set(kind)
        gone_by, accepted = time.monotonic(), link.accepted
        time.sleep(GONE_SECONDS)
        attempts = (link.accepted - accepted) / GONE_SECONDS
        back_from = back_at = time.monotonic()
        if kind == "stopped":
            cluster.start()
            back_at = time.monotonic()
        elif kind == "frozen":
            cluster.thaw()
        else:
            link.set("forward")
        time.sleep(5)
    end = time.monotonic()

    asked = [it for watch in documents.values() for it in watch.between(gone_at, end)]
    good = sum(it[2] == 200 for it in asked)
    availability = 100 * good / len(asked)
    report.figure("JWKS, discovery, /livez", f"{availability:.2f} % of {len(asked)} calls")
    report.holds(good == len(asked), "JWKS, discovery and /livez always succeed")

    # Includes calls that were under way when the database went away: hence the second before.
    unready = [it for it in ready.between(gone_at - 1, end) if it[2] == 503]
    noticed = min((it[0] + it[1] for it in unready), default=float("inf")) - gone_by
    report.figure("/readyz says 503 after", f"{max(noticed, 0) * 1e3:.0f} ms")
    report.holds(noticed <= 1.0, "/readyz says 503 within 1 s")
    still = [it for it in ready.between(gone_at + 1, back_from) if it[2] != 503]
    report.holds(not still, f"/readyz stays at 503 {still[:2]}")

    for name, watch in {"login": login, "refresh": refresh, "me": me}.items():
        during = watch.between(gone_at - 1, back_from)
        during = [it for it in during if it[2] != 200 or it[0] > gone_by]
        took = [it[1] for it in during]
        statuses = Counter(it[2] for it in during)
        report.figure(f"{name}: response time", f"{milliseconds(took)}; {dict(statuses)}")
        # Requests sent just before may still have succeeded.
        late = [it for it in watch.between(gone_by, back_from) if it[2] != 503]
        report.holds(not late, f"{name}: 503 only {late[:2]}")
        with_advice = all(it[3] for it in during if it[2] == 503)
        report.holds(took and with_advice, f"{name}: Retry-After")
        report.holds(percentile(took, 0.99) <= 1.0, f"{name}: p99 within 1 s")
        report.holds(max(took, default=9) <= 1.5, f"{name}: no request is queued for long")
    if kind == "silent":
        report.figure("attempts to connect, per second", f"{attempts:.1f}")
        report.holds(attempts <= 5, "connection attempts are limited")

    slowest = 0.0
    for name, watch in {"readyz": ready, "login": login, "refresh": refresh, "me": me}.items():
        after = watch.between(back_at, end)
        first = min((it[0] + it[1] for it in after if it[2] == 200), default=float("inf"))
        # Recovered: only successes from then on.
        bad = [it[0] + it[1] for it in after if it[2] != 200]
        if name == "refresh":
            bad = [it[0] + it[1] for it in after if it[2] not in (200, 401)]
        recovered = max([first, *bad]) - back_at
        slowest = max(slowest, recovered)
        took = f"{recovered * 1e3:.0f} ms; {dict(Counter(it[2] for it in after))}"
        report.figure(f"{name}: recovered permanently after", took)
    report.holds(slowest <= 2.0, "everything succeeds within 2 s of its return")
    report.holds(is_alive(signet), "the process is running")
    report.holds(not loops.errors, f"no other errors {loops.errors[:2]}")
    reused = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.figure("sessions of retrying clients ended for reuse", f"{reused}")
    report.figure("connections before, after", f"{before}, {cluster.connections()}")
    # Eight connections for requests, four in reserve, and one for the health check.
    most = 2 * (8 + 4 + 1)
    report.holds(cluster.connections() <= most, "no more connections than one pool remain")
    return reused


# PostgreSQL sends it together with the response to COMMIT.
NOTICE_AT_COMMIT = (
    """CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE NOTICE 'a session was written'; RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER tell AFTER UPDATE ON session
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell()""",
)


def lost_acknowledgement(report, cluster, link, signet):
    """The COMMIT of a refresh arrives, but its response is lost; the client retries until the
    database is back, which is after the retry window."""
    client = Client(signet.url).sign_up()
    presented = client.body["refresh_token"]
    # Other transactions commit, too: the heartbeat does, several times a second.
    for statement in NOTICE_AT_COMMIT:
        cluster.execute(statement)
    link.loses = b"a session was written"
    assert client.refresh().status_code == 503
    gone_at = time.monotonic()
    generations = cluster.execute("SELECT generation FROM session")
    report.holds(generations == [(1,)], "the refresh was committed, and answered with 503")
    answers = Counter()
    while time.monotonic() - gone_at < GONE_SECONDS:
        answers[client.refresh().status_code] += 1
        time.sleep(0.1)
    link.set("forward")
    back_at = time.monotonic()
    while time.monotonic() - back_at < 2 and client.body["refresh_token"] == presented:
        answers[client.refresh().status_code] += 1
        time.sleep(0.02)
    report.figure("refreshes with the same token", dict(answers))
    report.holds(set(answers) == {200, 503}, "it gets the successor once the database is back")
    report.holds(client.refresh().status_code == 200, "and the session continues")


def main(report):
    with Place() as place:
        print(f"-- an acknowledgement is lost, {GONE_SECONDS:.0f} s", flush=True)
        cluster = place.cluster()
        link = place.link(cluster)
        signet = place.signet(cluster.url("signet", link.port)).start()
        lost_acknowledgement(report, cluster, link, signet)
    for kind in KINDS:
        with Place() as place:
            print(f"-- {kind}, {GONE_SECONDS:.0f} s", flush=True)
            cluster = place.cluster()
            link = place.link(cluster)
            signet = place.signet(cluster.url("signet", link.port)).start()
            reused = outage(report, cluster, link, signet, kind)
            report.holds(reused == 0, "no retry is detected as reuse")


if __name__ == "__main__":
    report = Report("database_gone: PostgreSQL stopped, silent, refusing, frozen")
    with at_most(int(120 + 5 * (GONE_SECONDS + 20))):
        main(report)
    report.end()

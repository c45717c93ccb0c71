"""PostgreSQL is unavailable and then available again (F6).

It is stopped, is silent (packets are dropped), refuses connections, or is frozen. An outage takes
GONE_SECONDS, by default a minute. This is longer than the lease of the signing keys (15 s by
default) and the retry window (10 s). Each client calls sequentially without a pause, and presents a
refresh token again until it has received the successor.
"""

import os
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

GONE_SECONDS = float(os.environ.get("GONE_SECONDS", "60"))
CLIENTS = 8

KINDS = ["stopped", "silent", "refuse", "frozen"]


class ResponseLog:
    """Records the responses of one endpoint, with their start times and durations in seconds."""

    def __init__(self):
        self.answers = []  # (started, took, status, has Retry-After)

    def call(self, send):
        started = time.monotonic()
        try:
            answer = send()
            status, retry = answer.status_code, "retry-after" in answer.headers
        except httpx.TransportError as error:
            status, retry = type(error).__name__, False
        self.answers.append((started, time.monotonic() - started, status, retry))
        return status

    def between(self, start, end):
        return [it for it in list(self.answers) if start <= it[0] < end]


def outage(report, cluster, link, signet, kind):
    clients = [Client(signet.url).sign_up() for _ in range(CLIENTS)]
    documents = {path: ResponseLog() for path in DOCUMENTS}
    ready, login, refresh, me = ResponseLog(), ResponseLog(), ResponseLog(), ResponseLog()
    plain = httpx.Client(base_url=signet.url, timeout=30)
    probe = httpx.Client(base_url=signet.url, timeout=30)
    rejected = []  # clients whose refresh was answered with 401

    def request_documents():
        for path, log in documents.items():
            log.call(lambda path=path: plain.get(path))

    def refreshing_client(client):
        def work():
            if client in rejected:
                time.sleep(0.05)
            elif refresh.call(client.refresh) == 401:
                rejected.append(client)

        return work

    before = cluster.connections()
    work = [request_documents, lambda: ready.call(lambda: probe.get("/readyz"))]
    work += [refreshing_client(it) for it in clients[2:]]
    work += [lambda: me.call(clients[0].me), lambda: login.call(clients[1].log_in)]
    with Loop(*work, pause=0.02) as loops:
        time.sleep(2)
        outage_began = time.monotonic()
        if kind == "stopped":
            cluster.stop("immediate")
        elif kind == "frozen":
            cluster.freeze()
        else:
            link.set(kind)
        outage_complete, accepted = time.monotonic(), link.accepted
        time.sleep(GONE_SECONDS)
        attempts = (link.accepted - accepted) / GONE_SECONDS
        restore_began = restored_at = time.monotonic()
        if kind == "stopped":
            cluster.start()
            restored_at = time.monotonic()
        elif kind == "frozen":
            cluster.thaw()
        else:
            link.set("forward")
        time.sleep(5)
    end = time.monotonic()

    calls = [it for log in documents.values() for it in log.between(outage_began, end)]
    successful = sum(it[2] == 200 for it in calls)
    availability = 100 * successful / len(calls)
    report.figure("JWKS, discovery, /livez", f"{availability:.2f} % of {len(calls)} calls")
    report.check(successful == len(calls), "JWKS, discovery and /livez always succeed")

    # Starts a second early, to include calls that were in flight when the outage began.
    unready = [it for it in ready.between(outage_began - 1, end) if it[2] == 503]
    noticed = min((it[0] + it[1] for it in unready), default=float("inf")) - outage_complete
    report.figure("/readyz responds with 503 after", f"{max(noticed, 0) * 1e3:.0f} ms")
    report.check(noticed <= 1.0, "/readyz responds with 503 within 1 s")
    still = [it for it in ready.between(outage_began + 1, restore_began) if it[2] != 503]
    report.check(not still, f"/readyz stays at 503 {still[:2]}")

    for name, log in {"login": login, "refresh": refresh, "me": me}.items():
        during = log.between(outage_began - 1, restore_began)
        during = [it for it in during if it[2] != 200 or it[0] > outage_complete]
        took = [it[1] for it in during]
        statuses = Counter(it[2] for it in during)
        report.figure(f"{name}: response time", f"{milliseconds(took)}; {dict(statuses)}")
        # Requests sent before the outage may have succeeded.
        late = [it for it in log.between(outage_complete, restore_began) if it[2] != 503]
        report.check(not late, f"{name}: only 503 during the outage {late[:2]}")
        has_retry_after = all(it[3] for it in during if it[2] == 503)
        report.check(took and has_retry_after, f"{name}: each 503 has a Retry-After")
        report.check(percentile(took, 0.99) <= 1.0, f"{name}: p99 within 1 s")
        report.check(max(took, default=9) <= 1.5, f"{name}: no request is queued for long")
    if kind == "silent":
        report.figure("attempts to connect, per second", f"{attempts:.1f}")
        report.check(attempts <= 5, "connection attempts are limited")

    slowest = 0.0
    for name, log in {"readyz": ready, "login": login, "refresh": refresh, "me": me}.items():
        after = log.between(restored_at, end)
        first = min((it[0] + it[1] for it in after if it[2] == 200), default=float("inf"))
        # The endpoint has recovered when all later responses are successful.
        bad = [it[0] + it[1] for it in after if it[2] != 200]
        if name == "refresh":
            bad = [it[0] + it[1] for it in after if it[2] not in (200, 401)]
        recovered = max([first, *bad]) - restored_at
        slowest = max(slowest, recovered)
        took = f"{recovered * 1e3:.0f} ms; {dict(Counter(it[2] for it in after))}"
        report.figure(f"{name}: recovered permanently after", took)
    report.check(slowest <= 2.0, "all requests succeed within 2 s of PostgreSQL's return")
    report.check(is_running(signet), "the process is running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")
    reused = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.figure("sessions of retrying clients ended for reuse", f"{reused}")
    report.figure("connections before, after", f"{before}, {cluster.connections()}")
    # Signet has eight connections for requests, four in reserve, and one for the health check.
    max_connections = 2 * (8 + 4 + 1)
    report.check(
        cluster.connections() <= max_connections, "no more connections than one pool remain"
    )
    return reused


# The deferred trigger makes PostgreSQL send this notice together with the response to COMMIT.
NOTICE_AT_COMMIT = (
    """CREATE FUNCTION raise_notice() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE NOTICE 'a session was written'; RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER raise_notice AFTER UPDATE ON session
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_notice()""",
)


def lost_acknowledgement(report, cluster, link, signet):
    """The COMMIT of a refresh reaches PostgreSQL, but the response is lost.

    The client retries until the database is available again, which is after the retry window.
    """
    client = Client(signet.url).sign_up()
    presented = client.body["refresh_token"]
    # Identifies the COMMIT of the refresh, since the heartbeat commits several times a second.
    for statement in NOTICE_AT_COMMIT:
        cluster.execute(statement)
    link.lose_response_with = b"a session was written"
    assert client.refresh().status_code == 503
    outage_began = time.monotonic()
    generations = cluster.execute("SELECT generation FROM session")
    report.check(generations == [(1,)], "the refresh was committed, and answered with 503")
    answers = Counter()
    while time.monotonic() - outage_began < GONE_SECONDS:
        answers[client.refresh().status_code] += 1
        time.sleep(0.1)
    link.set("forward")
    restored_at = time.monotonic()
    while time.monotonic() - restored_at < 2 and client.body["refresh_token"] == presented:
        answers[client.refresh().status_code] += 1
        time.sleep(0.02)
    report.figure("refreshes with the same token", dict(answers))
    report.check(
        set(answers) == {200, 503}, "the client gets the successor once the database is back"
    )
    report.check(client.refresh().status_code == 200, "the session continues")


def main(report):
    with Workspace() as workspace:
        print(f"-- an acknowledgement is lost, {GONE_SECONDS:.0f} s", flush=True)
        cluster = workspace.cluster()
        link = workspace.link(cluster)
        signet = workspace.signet(cluster.url("signet", link.port)).start()
        lost_acknowledgement(report, cluster, link, signet)
    for kind in KINDS:
        with Workspace() as workspace:
            print(f"-- {kind}, {GONE_SECONDS:.0f} s", flush=True)
            cluster = workspace.cluster()
            link = workspace.link(cluster)
            signet = workspace.signet(cluster.url("signet", link.port)).start()
            reused = outage(report, cluster, link, signet, kind)
            report.check(reused == 0, "no retry is detected as reuse")


if __name__ == "__main__":
    report = Report("database_gone: PostgreSQL stopped, silent, refusing, frozen")
    with time_limit(int(120 + 5 * (GONE_SECONDS + 20))):
        main(report)
    report.end()

"""F9: PostgreSQL cannot serialise a transaction (40001) or breaks a deadlock with it (40P01).

First with triggers that raise these errors: three failures, then success; at commit, too; forever.
Then for real: SERIALIZABLE for every transaction, with many clients on few rows.
"""

import time

from harness import Client, Counter, Loop, Place, Report, at_most, is_alive, milliseconds

SETUP = """
CREATE SEQUENCE tries;
CREATE FUNCTION fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE try bigint := nextval('tries');
BEGIN
    IF try <= {until} THEN
        RAISE EXCEPTION 'on purpose' USING ERRCODE =
            CASE try % 3 WHEN 0 THEN '40P01' ELSE '40001' END;
    END IF;
    RETURN NEW;
END $$;
"""
TEARDOWN = "DROP FUNCTION fail_at_first CASCADE; DROP SEQUENCE tries"
AT_ONCE = "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION fail_at_first()"
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION fail_at_first()"
)
FOR_EVER = 1_000_000


def main(report, place):
    cluster = place.cluster()
    signet = place.signet(cluster.url("signet")).start()
    first = Client(signet.url).sign_up()

    def sign_up():
        # A new address, unless the last sign-up failed.
        return first.post("/api/auth/signup", email=stranger.email, password="Correct-horse-7")

    cases = [
        ("refresh", "session", first.refresh, 200),
        ("refresh", "auth_event", first.refresh, 200),
        ("login", "session", first.log_in, 200),
        ("login", "attempt", first.log_in, 200),
        ("sign-up", "account", sign_up, 201),
    ]
    for trigger, when in ((AT_ONCE, "in a statement"), (AT_COMMIT, "at commit")):
        for what, table, call, success in cases:
            stranger = Client(signet.url)
            cluster.execute(SETUP.format(until=3) + trigger.format(f'"{table}"'))
            status = call().status_code
            tries = cluster.execute("SELECT last_value FROM tries")[0][0]
            cluster.execute(TEARDOWN)
            report.holds(
                status == success and tries >= 4,
                f"{what}, {table}, {when}: three failures, then {status} ({tries} tries)",
            )
            stranger = Client(signet.url)
            cluster.execute(SETUP.format(until=FOR_EVER) + trigger.format(f'"{table}"'))
            before = cluster.execute("SELECT id, generation FROM session ORDER BY id")
            started = time.monotonic()
            answer = call()
            took = time.monotonic() - started
            after = cluster.execute("SELECT id, generation FROM session ORDER BY id")
            tries = cluster.execute("SELECT last_value FROM tries")[0][0]
            cluster.execute(TEARDOWN)
            report.holds(
                answer.status_code == 503
                and "retry-after" in answer.headers
                and before == after
                and tries <= 4
                and took < 1.0,
                f"{what}, {table}, {when}: for ever, {answer.status_code} after {tries} tries"
                f" in {took * 1e3:.0f} ms, nothing changed",
            )
            if success == 200:
                # It works again at once: no other request is affected.
                report.holds(call().status_code == 200, f"{what}: works afterwards")
    signet.stop()

    cluster.execute("ALTER DATABASE signet SET default_transaction_isolation = 'serializable'")
    signet.start()
    answers, took = Counter(), []

    def refresher(client):
        def work():
            started = time.monotonic()
            answers["refresh", client.refresh().status_code] += 1
            took.append(time.monotonic() - started)

        return work

    def visitor():
        visitor = Client(signet.url)
        visitor.email = first.email

        def work():
            answers["login", visitor.log_in().status_code] += 1

        return work

    # The clients share the rows of one account and of one address.
    clients = [Client(signet.url).sign_up() for _ in range(4)]
    work = [*map(refresher, clients), *[visitor() for _ in range(6)]]
    with Loop(*work) as loops:
        time.sleep(12)
    statuses = {" ".join(map(str, key)): it for key, it in sorted(answers.items(), key=str)}
    report.figure("SERIALIZABLE, 10 clients on few rows", statuses)
    report.figure("time of a refresh", milliseconds(took))
    report.holds(not [it for it in answers if it[1] not in (200, 503)], "200 or 503, never 500")
    report.holds(answers["refresh", 200] > 100, "most requests succeed")
    report.holds(is_alive(signet), "the process is running")
    report.holds(not loops.errors, f"no other errors {loops.errors[:2]}")


if __name__ == "__main__":
    report = Report("serialization: SQLSTATE 40001 and 40P01")
    with at_most(120), Place() as place:
        main(report, place)
    report.end()

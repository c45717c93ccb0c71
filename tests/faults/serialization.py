"""PostgreSQL aborts a transaction with a serialization failure (40001) or a deadlock (40P01) (F9).

First, triggers raise these errors, in a statement or at commit: three failures and then success, or
always. Then SERIALIZABLE is the default of the database, and many clients use few rows. Signet does
not use the default, so no transaction fails.
"""

import time

from harness import Client, Counter, Loop, Report, Workspace, is_running, milliseconds, time_limit

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
IN_STATEMENT = (
    "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION fail_at_first()"
)
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION fail_at_first()"
)
ALWAYS = 1_000_000
MOST_TRIES = 4


def main(report, workspace):
    cluster = workspace.cluster()
    signet = workspace.signet(cluster.url("signet")).start()
    first = Client(signet.url).sign_up()

    def sign_up():
        # Each case uses a new email address.
        return first.post("/api/auth/signup", email=new_client.email, password="Correct-horse-7")

    cases = [
        ("refresh", "session", first.refresh, 200),
        ("refresh", "auth_event", first.refresh, 200),
        ("login", "session", first.log_in, 200),
        ("login", "attempt", first.log_in, 200),
        ("sign-up", "account", sign_up, 201),
    ]
    for trigger, when in ((IN_STATEMENT, "in a statement"), (AT_COMMIT, "at commit")):
        for operation, table, call, success in cases:
            new_client = Client(signet.url)
            cluster.execute(SETUP.format(until=3) + trigger.format(f'"{table}"'))
            status = call().status_code
            tries = cluster.execute("SELECT last_value FROM tries")[0][0]
            cluster.execute(TEARDOWN)
            report.check(
                status == success and tries >= 4,
                f"{operation}, {table}, {when}: three failures, then {status} ({tries} tries)",
            )
            new_client = Client(signet.url)
            cluster.execute(SETUP.format(until=ALWAYS) + trigger.format(f'"{table}"'))
            before = cluster.execute("SELECT id, generation FROM session ORDER BY id")
            started = time.monotonic()
            answer = call()
            took = time.monotonic() - started
            after = cluster.execute("SELECT id, generation FROM session ORDER BY id")
            tries = cluster.execute("SELECT last_value FROM tries")[0][0]
            cluster.execute(TEARDOWN)
            # A refresh is tried in a batch first, and then alone.
            most_tries = MOST_TRIES + (operation == "refresh")
            report.check(
                answer.status_code == 503
                and "retry-after" in answer.headers
                and before == after
                and tries <= most_tries
                and took < 1.0,
                f"{operation}, {table}, {when}: always failing, {answer.status_code} after"
                f" {tries} tries in {took * 1e3:.0f} ms, nothing is changed",
            )
            if success == 200:
                # Without the trigger, the next request succeeds.
                report.check(call().status_code == 200, f"{operation}: works afterwards")
    signet.stop()

    cluster.execute("ALTER DATABASE signet SET default_transaction_isolation = 'serializable'")
    signet.start()
    answers, took = Counter(), []

    def refreshing_client(client):
        def work():
            started = time.monotonic()
            answers["refresh", client.refresh().status_code] += 1
            took.append(time.monotonic() - started)

        return work

    def login_client():
        client = Client(signet.url)
        client.email = first.email

        def work():
            answers["login", client.log_in().status_code] += 1

        return work

    # The clients share the rows of one account and of one client address.
    clients = [Client(signet.url).sign_up() for _ in range(4)]
    work = [*map(refreshing_client, clients), *[login_client() for _ in range(6)]]
    with Loop(*work) as loops:
        time.sleep(12)
    statuses = {" ".join(map(str, key)): it for key, it in sorted(answers.items(), key=str)}
    report.figure("SERIALIZABLE by default, 10 clients on few rows", statuses)
    report.figure("time of a refresh", milliseconds(took))
    report.check(not [it for it in answers if it[1] != 200], "all requests succeed")
    report.check(answers["refresh", 200] > 100, "there were more than 100 refreshes")
    report.check(is_running(signet), "the process is running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")


if __name__ == "__main__":
    report = Report("serialization: SQLSTATE 40001 and 40P01")
    with time_limit(120), Workspace() as workspace:
        main(report, workspace)
    report.end()

"""pgbouncer between Signet and PostgreSQL: which of its modes work, and what they require.

Two instances start on an empty database through pgbouncer. It has fewer connections to PostgreSQL
than to Signet, so that in transaction mode each statement may reach a different backend. A key is
rotated under load, and PostgreSQL is restarted. PGBOUNCER is the path of the program
(`/usr/sbin/pgbouncer` if unset).
"""

import os
import pwd
import re
import secrets
import subprocess
import time

from harness import (
    PASSWORD,
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    clean_environment,
    command,
    free_port,
    is_running,
    milliseconds,
    psycopg,
    time_limit,
    wait_for,
)

PGBOUNCER = os.environ.get("PGBOUNCER", "/usr/sbin/pgbouncer")
SERVERS = 4  # pgbouncer's connections to PostgreSQL. Signet has 16 connections to pgbouncer.
SECONDS = 10

INI = """
[databases]
signet = host=127.0.0.1 port={server} dbname=signet user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
server_login_retry = 1
logfile = {directory}/pgbouncer.log
ignore_startup_parameters = extra_float_digits,options
{prepared}
"""


class PgBouncer:
    def __init__(self, directory, cluster, mode, size, prepared=None):
        self.port = free_port()
        self.directory = directory / secrets.token_hex(4)
        self.directory.mkdir()
        settings = self.directory / "pgbouncer.ini"
        line = "" if prepared is None else f"max_prepared_statements = {prepared}"
        settings.write_text(
            INI.format(
                server=cluster.port,
                port=self.port,
                mode=mode,
                size=size,
                directory=self.directory,
                prepared=line,
            )
        )
        options = {}
        if os.getuid() == 0:  # pgbouncer does not run as root
            user = pwd.getpwnam("postgres")
            for path in (directory, self.directory, settings):
                os.chown(path, user.pw_uid, user.pw_gid)
            options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._process = subprocess.Popen(
            [PGBOUNCER, str(settings)],
            cwd="/",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        url = f"postgres://postgres@127.0.0.1:{self.port}/signet?sslmode=disable"
        wait_for(lambda: psycopg.connect(url, connect_timeout=2).close() is None, 10, "pgbouncer")

    def stop(self):
        self._process.kill()
        self._process.wait()


def version():
    found = re.search(r"(\d+)\.(\d+)", subprocess.check_output([PGBOUNCER, "--version"], text=True))
    return int(found[1]), int(found[2])


def load(signets, cluster):
    """Sends requests while a key is rotated.

    Returns the number of responses by kind, the durations of refreshes, the exit code of the
    rotation and errors.
    """
    answers, took = Counter(), []
    clients = [Client(signets[number % 2].url).sign_up() for number in range(8)]

    def refreshing_client(client, elsewhere):
        def work():
            # The instances alternate, so that each uses backends on which the other has prepared
            # statements.
            client.http, elsewhere.http = elsewhere.http, client.http
            started = time.monotonic()
            answers["refresh", client.refresh().status_code] += 1
            took.append(time.monotonic() - started)
            answers["me", client.me().status_code] += 1

        return work

    def session_client(signet):
        client = Client(signet.url)

        def work():
            client.email = f"{secrets.token_hex(8)}@example.test"
            answer = client.post("/api/auth/signup", email=client.email, password=PASSWORD)
            answers["signup", answer.status_code] += 1
            answer = client.log_in()
            answers["login", answer.status_code] += 1
            if answer.status_code == 200:
                bearer = f"Bearer {answer.json()['access_token']}"
                answer = client.http.post("/api/auth/logout", headers={"Authorization": bearer})
                answers["logout", answer.status_code] += 1

        return work

    work = [
        refreshing_client(it, Client(signets[1 - number % 2].url))
        for number, it in enumerate(clients)
    ]
    with Loop(*work, *map(session_client, signets), pause=0.005) as loops:
        time.sleep(SECONDS / 2)
        rotated = command(signets[0], "keys", "rotate").wait(30)
        time.sleep(SECONDS / 2)
    return answers, took, rotated, loops.errors


def sorted_answers(answers):
    return {" ".join(map(str, key)): it for key, it in sorted(answers.items(), key=str)}


def check_mode(report, workspace, mode, prepared=None):
    cluster = workspace.cluster()
    # Signet sets these when it connects, but pgbouncer does not forward them.
    for name, value in (
        ("statement_timeout", "5s"),
        ("lock_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "3s"),
    ):
        cluster.execute(f"ALTER DATABASE signet SET {name} = '{value}'")
    size = SERVERS if mode == "transaction" else 40
    pgbouncer = PgBouncer(workspace.directory, cluster, mode, size, prepared)
    try:
        url = cluster.url("signet", pgbouncer.port)
        first = workspace.signet(url).start()
        signets = [first, workspace.signet(url, settings_of=first).start()]
        answers, took, rotated, errors = load(signets, cluster)
        report.figure("answers", sorted_answers(answers))
        report.figure("time of a refresh", milliseconds(took))
        bad = [it for it in answers if it[1] not in (200, 201)]
        report.check(
            not bad and rotated == 0 and not errors, f"all requests succeed {bad} {errors[:1]}"
        )
        servers = cluster.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND datname = 'signet' AND pid <> pg_backend_pid()"
        )[0][0]
        report.figure("connections to PostgreSQL", servers)
        report.check(servers <= size, "no more connections than pgbouncer's limit")
        client = Client(first.url).sign_up()
        cluster.stop("fast")
        report.check(client.refresh().status_code == 503, "503 while PostgreSQL is down")
        cluster.start()
        seconds = wait_for(lambda: client.refresh().status_code == 200, 30, "a refresh succeeds")
        report.figure("recovered after PostgreSQL's return", f"{seconds * 1e3:.0f} ms")
        reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
        report.check(reuse == 0, f"false reuse revocations: {reuse}")
        report.check(all(map(is_running, signets)), "both processes are running")
    finally:
        pgbouncer.stop()


def check_unsupported_mode(report, workspace):
    """Without prepared statements in pgbouncer, either the start or requests must fail."""
    cluster = workspace.cluster()
    pgbouncer = PgBouncer(
        workspace.directory, cluster, "transaction", SERVERS, 0 if version() >= (1, 21) else None
    )
    try:
        first = workspace.signet(cluster.url("signet", pgbouncer.port))
        try:
            first.start()
            second = workspace.signet(
                cluster.url("signet", pgbouncer.port), settings_of=first
            ).start()
            answers, _, rotated, errors = load([first, second], cluster)
            report.figure("answers", sorted_answers(answers))
            wrong = rotated or errors or [it for it in answers if it[1] not in (200, 201)]
        except AssertionError as error:
            wrong = str(error).splitlines()[-1]
        report.figure("errors", wrong)
        report.check(wrong, "without prepared statements, transaction mode does not work")
    finally:
        pgbouncer.stop()


if __name__ == "__main__":
    major, minor = version()
    report = Report(f"pgbouncer {major}.{minor} between Signet and PostgreSQL")
    with time_limit(400):
        with Workspace() as workspace:
            print("-- session pooling", flush=True)
            check_mode(report, workspace, "session")
        if (major, minor) >= (1, 21):
            with Workspace() as workspace:
                print("-- transaction pooling, max_prepared_statements = 200", flush=True)
                check_mode(report, workspace, "transaction", 200)
        with Workspace() as workspace:
            print("-- transaction pooling without prepared statements", flush=True)
            check_unsupported_mode(report, workspace)
    report.end()

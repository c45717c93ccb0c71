"""Few file descriptors (W7).

Two client addresses open 1,055 idle connections to an instance with a soft limit of 1,024
descriptors, and to one with a hard limit. Then the limit of a running instance is lowered, so that
it can open no descriptor. Other clients must get responses, the log must stay short, and the
process must not spin.
"""

import http.client
import os
import resource
import socket
import time

from harness import (
    HIGH_LIMITS,
    Counter,
    Report,
    Signet,
    Workspace,
    milliseconds,
    resume_and_kill,
    time_limit,
)

IDLE = 1_055


class LimitedSignet(Signet):
    """An instance with a limit of file descriptors."""

    limit = "ulimit -n 1024"

    def spawn(self, command, environment):
        super().spawn(["sh", "-c", f'{self.limit}; exec "$0" "$@"', *command], environment)


class _Url:
    """Takes the place of a database, of which `Signet` uses only the URL."""

    def __init__(self, url):
        self.url = url


def instance(workspace, name, limit):
    home = workspace.directory / name
    home.mkdir()
    signet = LimitedSignet(home, _Url(f"sqlite:{home}/signet.db"), **HIGH_LIMITS)
    signet.limit = limit
    workspace._stack.callback(resume_and_kill, signet)
    return signet.start()


def connect(signet, client):
    connection = socket.socket()
    connection.settimeout(20)
    connection.bind((client, 0))
    connection.connect(("127.0.0.1", signet.port))
    return connection


def send_request(signet, client="127.0.0.9"):
    """Sends a request. Returns its status (0 without a response) and its duration."""
    started = time.monotonic()
    with connect(signet, client) as connection:
        try:
            connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            status = answer.status
        except (http.client.HTTPException, ConnectionError):
            status = 0
    return status, time.monotonic() - started


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def count_in_log(signet, text):
    return signet.output.count(text)


def idle_clients(report, workspace, name, limit):
    signet = instance(workspace, name, limit)
    idle_connections = [connect(signet, f"127.0.0.{2 + number % 2}") for number in range(IDLE)]
    responses = [send_request(signet) for _ in range(100)]
    report.figure(
        f"{name}: requests of other clients", milliseconds([took for _, took in responses])
    )
    report.check(
        all(status == 200 for status, _ in responses), f"{name}: requests of other clients succeed"
    )
    report.check(
        max(took for _, took in responses) < 2,
        f"{name}: requests of other clients take less than 2 s",
    )
    failed = count_in_log(signet, "could not be accepted")
    lowered = count_in_log(signet, "fewer connections than SIGNET_MAX_CONNECTIONS")
    report.figure(f"{name}: log lines about the lowered limit, about failures", (lowered, failed))
    report.check(failed == 0, f"{name}: no descriptor was missing")
    report.check(
        lowered == ("-Sn" not in limit), f"{name}: one log line if the connection limit was lowered"
    )
    for connection in idle_connections:
        connection.close()
    report.check(signet.stop() == 0, f"{name}: it exits with 0")


def lowest_free(pid):
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(1 << 20) if number not in taken)


def no_descriptors_left(report, workspace):
    signet = instance(workspace, "none left", "ulimit -n 1024")
    send_request(signet)
    time.sleep(0.5)  # until the server has closed that connection
    pid = signet.pid
    _, hard = before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free(pid), hard))
    started, used = time.monotonic(), cpu_ticks(pid)
    responses = []
    while time.monotonic() - started < 21:
        responses.append(send_request(signet))
        time.sleep(0.01)
    used = (cpu_ticks(pid) - used) / os.sysconf("SC_CLK_TCK") / 21
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    lines = count_in_log(signet, "could not be accepted")
    with_response = sum(status == 503 for status, _ in responses)
    report.figure(
        "no descriptor: responses (0 is none)", dict(Counter(status for status, _ in responses))
    )
    report.figure("no descriptor: duration of each", milliseconds([took for _, took in responses]))
    report.figure("no descriptor: log lines, share of a core", (lines, f"{used:.1%}"))
    report.check(
        all(status in (0, 503) for status, _ in responses), "no descriptor: all are rejected"
    )
    report.check(with_response > len(responses) * 0.9, "no descriptor: nearly all with a response")
    report.check(1 <= lines <= 3, "no descriptor: one log line in ten seconds")
    report.check(used < 0.5, "no descriptor: the process does not spin")
    report.check(
        send_request(signet)[0] == 200, "no descriptor: works again once descriptors are free"
    )
    report.check(signet.stop() == 0, "no descriptor: it exits with 0")


if __name__ == "__main__":
    report = Report("descriptors: few, and none")
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard_limit), hard_limit))
    with time_limit(300), Workspace() as workspace:
        idle_clients(report, workspace, "soft limit of 1,024", "ulimit -Sn 1024")
        idle_clients(report, workspace, "hard limit of 1,024", "ulimit -n 1024")
        no_descriptors_left(report, workspace)
    report.end()

"""W7: few descriptors. Two addresses open 1,055 idle connections, with a soft limit of 1,024 and
with a hard one; then the limit is lowered under a running instance, so that nothing can be opened.

Other clients get responses throughout, the log stays short, and the process does not spin.
"""

import http.client
import os
import resource
import socket
import time

from harness import GENEROUS, Counter, Place, Report, Signet, at_most, end, milliseconds

IDLE = 1_055


class Limited(Signet):
    """An instance with resource limits."""

    limit = "ulimit -n 1024"

    def spawn(self, command, environment):
        super().spawn(["sh", "-c", f'{self.limit}; exec "$0" "$@"', *command], environment)


class _Url:
    def __init__(self, url):
        self.url = url


def instance(place, name, limit):
    home = place.directory / name
    home.mkdir()
    signet = Limited(home, _Url(f"sqlite:{home}/signet.db"), **GENEROUS)
    signet.limit = limit
    place._stack.callback(end, signet)
    return signet.start()


def connect(signet, client):
    connection = socket.socket()
    connection.settimeout(20)
    connection.bind((client, 0))
    connection.connect(("127.0.0.1", signet.port))
    return connection


def ask(signet, client="127.0.0.9"):
    """The status, or 0 if the connection was closed instead; and the duration."""
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


def ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def warnings(signet, text):
    return signet.output.count(text)


def idle_clients(report, place, name, limit):
    signet = instance(place, name, limit)
    held = [connect(signet, f"127.0.0.{2 + number % 2}") for number in range(IDLE)]
    asked = [ask(signet) for _ in range(100)]
    report.figure(f"{name}: others' requests", milliseconds([took for _, took in asked]))
    report.holds(all(status == 200 for status, _ in asked), f"{name}: others get a 200")
    report.holds(max(took for _, took in asked) < 2, f"{name}: within 2 s")
    failed = warnings(signet, "could not be accepted")
    fitted = warnings(signet, "fewer connections than SIGNET_MAX_CONNECTIONS")
    report.figure(f"{name}: log lines about the lowered limit, about failures", (fitted, failed))
    report.holds(failed == 0, f"{name}: no descriptor was missing")
    report.holds(fitted == ("-Sn" not in limit), f"{name}: one line if fewer connections fit")
    for connection in held:
        connection.close()
    report.holds(signet.stop() == 0, f"{name}: it exits with 0")


def lowest_free(pid):
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(1 << 20) if number not in taken)


def no_descriptors_left(report, place):
    signet = instance(place, "none left", "ulimit -n 1024")
    ask(signet)
    time.sleep(0.5)  # until the server has closed that connection, too
    pid = signet.pid
    _, hard = before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free(pid), hard))
    started, used = time.monotonic(), ticks(pid)
    asked = []
    while time.monotonic() - started < 21:
        asked.append(ask(signet))
        time.sleep(0.01)
    used = (ticks(pid) - used) / os.sysconf("SC_CLK_TCK") / 21
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    lines = warnings(signet, "could not be accepted")
    told = sum(status == 503 for status, _ in asked)
    report.figure(
        "no descriptor: responses (0 is none)", dict(Counter(status for status, _ in asked))
    )
    report.figure("no descriptor: duration of each", milliseconds([took for _, took in asked]))
    report.figure("no descriptor: log lines, share of a core", (lines, f"{used:.1%}"))
    report.holds(all(status in (0, 503) for status, _ in asked), "no descriptor: all are rejected")
    report.holds(told > len(asked) * 0.9, "no descriptor: nearly all with a response")
    report.holds(1 <= lines <= 3, "no descriptor: one log line in ten seconds")
    report.holds(used < 0.5, "no descriptor: the process does not spin")
    report.holds(ask(signet)[0] == 200, "no descriptor: works again once descriptors are free")
    report.holds(signet.stop() == 0, "no descriptor: it exits with 0")


if __name__ == "__main__":
    report = Report("descriptors: few, and none")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, most), most))
    with at_most(300), Place() as place:
        idle_clients(report, place, "soft limit of 1,024", "ulimit -Sn 1024")
        idle_clients(report, place, "hard limit of 1,024", "ulimit -n 1024")
        no_descriptors_left(report, place)
    report.end()

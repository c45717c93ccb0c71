"""The log output fails or is not read, under load: only log lines may be lost (A1, A2).

Standard output and standard error are one pipe, whose reader exits or is suspended, or a file on a
full disk. Meanwhile each request must succeed, and the key set must be served as fast as before. A
separate process measures its response times. SIGTERM follows while the fault lasts. If the fault
can be repaired, logging must resume with a line that reports the number of lost lines.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import (
    HIGH_LIMITS,
    Client,
    Counter,
    Report,
    Signet,
    Workspace,
    milliseconds,
    percentile,
    resume_and_kill,
    time_limit,
    wait_for,
)

SECONDS = 8
STOP_SECONDS = 10


class LoggingSignet(Signet):
    """An instance that logs to the given file."""

    sink: object = None

    def spawn(self, command, environment):
        self._process = subprocess.Popen(
            command,
            cwd=self._directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self.sink,
            stderr=subprocess.STDOUT,
            umask=0o022,
        )


class _Url:
    """Takes the place of a database, of which `Signet` uses only the URL."""

    def __init__(self, url):
        self.url = url


def instance(workspace, name, sink):
    home = workspace.directory / name
    home.mkdir()
    signet = LoggingSignet(
        home, _Url(f"sqlite:{home}/signet.db"), **HIGH_LIMITS, SIGNET_LOG_FORMAT="json"
    )
    signet.sink = sink
    signet.output_path.touch()
    workspace._stack.callback(resume_and_kill, signet)
    return signet.start()


# --- measurements -------------------------------------------------------------------------------


def probe(port, seconds):
    """Sends about 250 requests a second for the key set, and prints their durations as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        connection.request("GET", "/.well-known/jwks.json")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        took.append(time.monotonic() - started)
        time.sleep(0.003)
    print(json.dumps(took))


def key_set_times(signet, seconds=SECONDS):
    command = [sys.executable, __file__, "probe", str(signet.port), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    return json.loads(done.stdout) if done.returncode == 0 else []


class Load:
    """Clients that send about 100 requests a second in total. Failures are recorded."""

    def __init__(self, signet):
        self._signet, self._stop = signet, threading.Event()
        self.answers, self.bad = Counter(), []
        self._clients = [Client(signet.url).sign_up() for _ in range(4)]
        self._threads = [
            threading.Thread(target=self._run, args=[it], daemon=True) for it in self._clients
        ]

    def _run(self, client):
        steps = [
            ("me", client.me),
            ("refresh", client.refresh),
            ("page", lambda: client.http.get("/login")),
            ("me", client.me),
        ]
        turn = 0
        while not self._stop.is_set():
            name, step = ("login", client.log_in) if turn % 40 == 39 else steps[turn % 4]
            turn += 1
            try:
                status = step().status_code
            except Exception as error:  # noqa: BLE001
                status = type(error).__name__
            self.answers[name] += 1
            if status != 200:
                self.bad.append((name, status))
            self._stop.wait(0.04)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def send_burst(signet, requests):
    """Sends requests that are logged as fast as possible. Returns the number of responses."""
    request = b"GET /api/auth/me HTTP/1.1\r\nhost: x\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", signet.port), timeout=60) as connection:
        sending = threading.Thread(
            target=connection.sendall, args=[request * (requests - 1) + last]
        )
        sending.start()
        received = bytearray()
        while part := connection.recv(1 << 20):
            received += part
        sending.join()
    return received.count(b"HTTP/1.1 401")


def lost_lines(signet):
    connection = http.client.HTTPConnection("127.0.0.1", signet.port, timeout=15)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert (answer.status, body["status"]) == (200, "ready"), body
    return body["lost_log_lines"]


# --- the faults ---------------------------------------------------------------------------------


class LogReader:
    """The reader of the log: a `cat` at the other end of the pipe."""

    repairable = True

    def __init__(self, workspace, name):
        self._read = workspace.directory / f"{name}.read"
        output, self.sink = os.pipe()
        with self._read.open("wb") as file:
            self._cat = subprocess.Popen(["cat"], stdin=output, stdout=file)
        os.close(output)
        workspace._stack.callback(self._cat.kill)

    def close_sink(self):
        os.close(self.sink)

    def text(self):
        return self._read.read_text(errors="replace")


class ExitingReader(LogReader):
    repairable = False

    def inject(self):
        self._cat.kill()
        self._cat.wait()


class SuspendedReader(LogReader):
    def inject(self):
        self._cat.send_signal(signal.SIGSTOP)

    def repair(self):
        self._cat.send_signal(signal.SIGCONT)


class FullDisk:
    """A file system of 64 KiB, or /dev/full if none can be mounted."""

    def __init__(self, workspace, name):
        self._disk = workspace.directory / f"{name}.disk"
        self._disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(self._disk)]
        self.repairable = subprocess.run(mount, capture_output=True).returncode == 0
        if self.repairable:
            workspace._stack.callback(subprocess.run, ["umount", "-l", str(self._disk)])
        self._log = self._disk / "log" if self.repairable else Path("/dev/full")
        self.sink = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def close_sink(self):
        os.close(self.sink)

    def inject(self):
        if self.repairable:
            with contextlib.suppress(OSError), (self._disk / "filler").open("wb") as filler:
                while filler.write(bytes(4096)):
                    filler.flush()

    def repair(self):
        (self._disk / "filler").unlink()
        os.truncate(self._log, 0)

    def text(self):
        return self._log.read_text(errors="replace")


def measure_fault(report, workspace, name, kind):
    fault = kind(workspace, name)
    signet = instance(workspace, name, fault.sink)
    fault.close_sink()
    key_set_times(signet, 1)
    idle = key_set_times(signet)
    with Load(signet) as load:
        time.sleep(1)
        without_fault = key_set_times(signet)
        fault.inject()
        before = load.answers.total()
        during = key_set_times(signet)
        during += key_set_times(signet)
        asked = load.answers.total() - before
    answered = sum(send_burst(signet, 1_000) for _ in range(14))
    count = lost_lines(signet)
    report.figure(f"{name}: key set, idle", milliseconds(idle))
    report.figure(f"{name}: key set under load, log read", milliseconds(without_fault))
    report.figure(f"{name}: key set under load, with the fault", milliseconds(during))
    report.figure(f"{name}: requests with the fault", asked + len(during) + answered)
    report.figure(f"{name}: lost log lines", count)
    report.check(not load.bad and answered == 14_000, f"{name}: no request fails {load.bad[:4]}")
    report.check(len(during) > 100, f"{name}: the key set is served")
    to_idle, ratio = (
        percentile(during, 0.99) / percentile(it, 0.99) for it in (idle, without_fault)
    )
    report.figure(f"{name}: p99 of the key set, as a multiple of idle", f"{to_idle:.2f}")
    report.check(
        ratio <= 2,
        f"{name}: p99 of the key set is at most twice that without the fault ({ratio:.2f})",
    )
    report.check(count > 0, f"{name}: lost lines are counted, and /readyz stays 200")
    if fault.repairable:
        fault.repair()
        wait_for(
            lambda: send_burst(signet, 1) and "log lines were lost" in fault.text(), 20, "a report"
        )
        report.check(True, f"{name}: reported once logging resumes")
        fault.inject()
        send_burst(signet, 1_000)
    stopped_at = time.monotonic()
    signet._process.terminate()
    code = signet.wait(30)
    took = time.monotonic() - stopped_at
    report.figure(f"{name}: from SIGTERM to the exit", f"{took:.2f} s")
    report.check(code == 0 and took < STOP_SECONDS, f"{name}: SIGTERM exits with 0 ({code})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        probe(int(sys.argv[2]), float(sys.argv[3]))
        sys.exit(0)
    report = Report("logs: the output is not read, or the disk is full")
    with time_limit(600), Workspace() as workspace:
        for name, kind in (
            ("gone", ExitingReader),
            ("stopped", SuspendedReader),
            ("full", FullDisk),
        ):
            measure_fault(report, workspace, name, kind)
    report.end()

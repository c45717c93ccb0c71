"""A1, A2: the log output fails or is not read, under load: only log lines are lost.

Standard output and standard error are one pipe whose reader exits or is stopped, or a file on a
full disk. Meanwhile each request must succeed, and the key set must be served as fast as before; a
separate process measures that. SIGTERM follows while the fault lasts. Where the fault can be
repaired, logging resumes with a line that says how many were lost.
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
    GENEROUS,
    Client,
    Counter,
    Place,
    Report,
    Signet,
    at_most,
    end,
    milliseconds,
    percentile,
    wait_for,
)

SECONDS = 8
STOP_SECONDS = 10


class Logged(Signet):
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
    def __init__(self, url):
        self.url = url


def instance(place, name, sink):
    home = place.directory / name
    home.mkdir()
    signet = Logged(home, _Url(f"sqlite:{home}/signet.db"), **GENEROUS, SIGNET_LOG_FORMAT="json")
    signet.sink = sink
    signet.output_path.touch()
    place._stack.callback(end, signet)
    return signet.start()


# --- measurements -------------------------------------------------------------------------------


def probe(port, seconds):
    """Prints, as JSON, the durations of about 250 requests a second for the key set."""
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
    """Clients that send about 100 requests a second in total; failures are recorded."""

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


def burst(signet, requests):
    """Sends logged requests as fast as possible; returns the number of responses."""
    request = b"GET /api/auth/me HTTP/1.1\r\nhost: x\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", signet.port), timeout=60) as connection:
        sending = threading.Thread(target=connection.sendall, args=[request * (requests - 1) + last])
        sending.start()
        received = bytearray()
        while part := connection.recv(1 << 20):
            received += part
        sending.join()
    return received.count(b"HTTP/1.1 401")


def lost(signet):
    connection = http.client.HTTPConnection("127.0.0.1", signet.port, timeout=15)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert (answer.status, body["status"]) == (200, "ready"), body
    return body["lost_log_lines"]


# --- the faults ---------------------------------------------------------------------------------


class Reader:
    """The other end of the pipe: a `cat` that can be stopped or terminated."""

    ends = True

    def __init__(self, place, name):
        self._read = place.directory / f"{name}.read"
        output, self.sink = os.pipe()
        with self._read.open("wb") as file:
            self._cat = subprocess.Popen(["cat"], stdin=output, stdout=file)
        os.close(output)
        place._stack.callback(self._cat.kill)

    def started(self):
        os.close(self.sink)

    def text(self):
        return self._read.read_text(errors="replace")


class ClosedReader(Reader):
    ends = False

    def begin(self):
        self._cat.kill()
        self._cat.wait()


class StoppedReader(Reader):
    def begin(self):
        self._cat.send_signal(signal.SIGSTOP)

    def finish(self):
        self._cat.send_signal(signal.SIGCONT)


class FullDisk:
    """A disk of 64 KiB, or /dev/full where none can be mounted."""

    def __init__(self, place, name):
        self._disk = place.directory / f"{name}.disk"
        self._disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(self._disk)]
        self.ends = subprocess.run(mount, capture_output=True).returncode == 0
        if self.ends:
            place._stack.callback(subprocess.run, ["umount", "-l", str(self._disk)])
        self._log = self._disk / "log" if self.ends else Path("/dev/full")
        self.sink = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def started(self):
        os.close(self.sink)

    def begin(self):
        if self.ends:
            with contextlib.suppress(OSError), (self._disk / "rest").open("wb") as rest:
                while rest.write(bytes(4096)):
                    rest.flush()

    def finish(self):
        (self._disk / "rest").unlink()
        os.truncate(self._log, 0)

    def text(self):
        return self._log.read_text(errors="replace")


def one_fault(report, place, name, kind):
    fault = kind(place, name)
    signet = instance(place, name, fault.sink)
    fault.started()
    key_set_times(signet, 1)
    idle = key_set_times(signet)
    with Load(signet) as load:
        time.sleep(1)
        well = key_set_times(signet)
        fault.begin()
        before = load.answers.total()
        during = key_set_times(signet)
        during += key_set_times(signet)
        asked = load.answers.total() - before
    answered = sum(burst(signet, 1_000) for _ in range(14))
    count = lost(signet)
    report.figure(f"{name}: key set, idle", milliseconds(idle))
    report.figure(f"{name}: key set under load, log read", milliseconds(well))
    report.figure(f"{name}: key set under load, with the fault", milliseconds(during))
    report.figure(f"{name}: requests with the fault", asked + len(during) + answered)
    report.figure(f"{name}: lost log lines", count)
    report.holds(not load.bad and answered == 14_000, f"{name}: no request fails {load.bad[:4]}")
    report.holds(len(during) > 100, f"{name}: the key set is served")
    to_idle, ratio = (percentile(during, 0.99) / percentile(it, 0.99) for it in (idle, well))
    report.figure(f"{name}: its p99, as a multiple of idle", f"{to_idle:.2f}")
    report.holds(ratio <= 2, f"{name}: its p99 is at most twice that without the fault ({ratio:.2f})")
    report.holds(count > 0, f"{name}: lost lines are counted, and /readyz stays 200")
    if fault.ends:
        fault.finish()
        wait_for(lambda: burst(signet, 1) and "log lines were lost" in fault.text(), 20, "a report")
        report.holds(True, f"{name}: reported once logging resumes")
        fault.begin()
        burst(signet, 1_000)
    stopped_at = time.monotonic()
    signet._process.terminate()
    code = signet.wait(30)
    took = time.monotonic() - stopped_at
    report.figure(f"{name}: from SIGTERM to the exit", f"{took:.2f} s")
    report.holds(code == 0 and took < STOP_SECONDS, f"{name}: SIGTERM exits with 0 ({code})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        probe(int(sys.argv[2]), float(sys.argv[3]))
        sys.exit(0)
    report = Report("logs: nobody reads them, or the disk is full")
    with at_most(600), Place() as place:
        for name, kind in (("gone", ClosedReader), ("stopped", StoppedReader), ("full", FullDisk)):
            one_fault(report, place, name, kind)
    report.end()

"""Signet is stopped while services verify its tokens: the task APIs in Go and in Spring Boot.

Each service gets 20 requests a second with a valid token, before, during and after the outage. All
must succeed, since a service uses cached keys without limit and a status list until its `exp`. A
second process of each service starts during the outage. It must answer 503 until Signet is running
again, and then work.

The outage takes 60 s. With `--minutes 10` it takes much longer than the `max-age` of the key set
and the `ttl` of the status list. The build of the Spring example requires a JDK and Maven.
"""

import argparse
import threading
import time

from harness import (
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    httpx,
    milliseconds,
    time_limit,
    wait_for,
)
import spring_task_api  # harness has added its directory to the path
from processes import GoTaskApi
from spring_task_api import SpringTaskApi, build

KINDS = {"Go": GoTaskApi, "Spring": SpringTaskApi}
RATE = 20
THREADS = 2
LOAD_SECONDS = 10
"""Duration of the load before and after the outage."""

STATUS_TTL = 3

# Two JVMs start here, possibly on a busy machine.
spring_task_api.START_SECONDS = 400


class Service:
    """A process of a task API and its responses."""

    def __init__(self, name, process, user):
        self.name = name
        self.process = process
        self._path = f"/api/{user['user_id']}/tasks"
        self._headers = {"Authorization": f"Bearer {user['access_token']}"}
        self._http = httpx.Client(base_url=process.url, timeout=10)
        self._lock = threading.Lock()
        self.phase = "before"
        self.answers = {}
        self.times = {}

    def send_request(self):
        return self._http.get(self._path, headers=self._headers)

    def status(self):
        return self.send_request().status_code

    def work(self):
        """Sends one request of the load and records the response."""
        started, phase = time.monotonic(), self.phase
        status = self.status()
        took = time.monotonic() - started
        with self._lock:
            self.answers.setdefault(phase, Counter())[status] += 1
            self.times.setdefault(phase, []).append(took)
        time.sleep(max(0.0, THREADS / RATE - took))

    def load(self):
        return Loop(*[self.work] * THREADS)


def start(workspace, signet, user):
    """Starts a process of each task API, each in its own directory."""
    services = []
    for name, kind in KINDS.items():
        directory = workspace.new_directory()
        process = workspace.kill_later(kind(directory, signet.issuer, signet.audience))
        services.append(Service(name, process.start(), user))
    return services


class ServiceWorkspace(Workspace):
    """A workspace that also stops the services."""

    def new_directory(self):
        directory = self.directory / f"service-{time.monotonic_ns()}"
        directory.mkdir()
        return directory

    def kill_later(self, process):
        self._stack.callback(process.kill)
        return process


def main(report, workspace, outage_seconds):
    build()
    url = f"sqlite:{workspace.directory}/signet.db"
    signet = workspace.signet(url, SIGNET_STATUS_TTL_SECONDS=str(STATUS_TTL)).start()
    client = Client(signet.url).sign_up()
    services = start(workspace, signet, client.body)
    for service in services:
        # The first request fetches the keys, which may time out on a busy machine.
        wait_for(
            lambda it=service: it.status() == 200, 60, f"{service.name}: the token is accepted"
        )
    loads = [service.load() for service in services]
    with loads[0], loads[1]:
        time.sleep(LOAD_SECONDS)
        set_phase(services, "during")
        stopped_at = time.monotonic()
        signet.stop()
        started_in_outage = start(workspace, signet, client.body)
        first_responses = [service.send_request() for service in started_in_outage]
        time.sleep(max(0.0, outage_seconds - (time.monotonic() - stopped_at)))
        last_statuses = [service.status() for service in started_in_outage]
        signet.start()
        restarted_at = time.monotonic()
        report.figure("Signet was stopped for", f"{restarted_at - stopped_at:.0f} s")
        set_phase(services, "after")
        for service in started_in_outage:
            took = wait_for(lambda it=service: it.status() == 200, 30, f"{service.name}, late")
            report.figure(f"{service.name}, started meanwhile: works after", f"{took:.1f} s")
        time.sleep(LOAD_SECONDS)
    check_load(report, services, [load.errors for load in loads])
    for service, answer, later in zip(
        started_in_outage, first_responses, last_statuses, strict=True
    ):
        as_expected = (answer.status_code, answer.headers.get("Retry-After"), later) == (
            503,
            "5",
            503,
        )
        report.check(as_expected, f"{service.name}, started meanwhile: 503 until Signet is back")
    log_out(report, signet, client, [*services, *started_in_outage])


def set_phase(services, phase):
    for service in services:
        service.phase = phase


def check_load(report, services, errors):
    """Reports and checks the responses to the load."""
    for service in services:
        for phase, answers in service.answers.items():
            times = milliseconds(service.times[phase])
            report.figure(f"{service.name}, {phase}", f"{dict(answers)}, {times}")
        given = sum(service.answers.values(), Counter())
        report.check(
            set(given) == {200}, f"{service.name}: all requests with a valid token succeed"
        )
    report.check(not any(errors), f"no other errors {errors}")


def log_out(report, signet, client, services):
    """Checks that a logout after the outage takes effect at all services."""
    bearer = {"Authorization": f"Bearer {client.body['access_token']}"}
    answer = httpx.post(f"{signet.url}/api/auth/logout", headers=bearer)
    report.check(answer.status_code == 200, "the session is logged out")
    started = time.monotonic()
    for service in services:
        wait_for(
            lambda it=service: it.status() == 401, STATUS_TTL + 5, f"{service.name}: the logout"
        )
    report.figure(
        "the logout took effect at all services after", f"{time.monotonic() - started:.1f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, help="instead of --seconds")
    arguments = parser.parse_args()
    outage_seconds = arguments.minutes * 60 if arguments.minutes else arguments.seconds
    report = Report(f"verifier_outage: Signet is stopped for {outage_seconds:.0f} s")
    with time_limit(int(outage_seconds) + 900), ServiceWorkspace() as workspace:
        main(report, workspace, outage_seconds)
    report.end()

"""Signet is away while services verify its tokens: the task API in Go and in Spring Boot.

Each gets 20 requests a second with a good token, before, during and after. None may be refused, and
none answered 503: keys are kept without limit, and a status list until its `exp`. A second process
of each service starts in the outage. It answers 503 until Signet is back, and then works.

`--minutes 10` for longer than the `max-age` of the key set and the `ttl` of the status list by far;
60 s otherwise. Building the Spring example takes a JDK and Maven.
"""

import argparse
import threading
import time

from harness import Client, Counter, Loop, Place, Report, at_most, httpx, milliseconds, wait_for
import spring_task_api  # its module path comes with harness
from processes import GoTaskApi
from spring_task_api import SpringTaskApi, build

KINDS = {"Go": GoTaskApi, "Spring": SpringTaskApi}
RATE = 20
THREADS = 2
SOME_SECONDS = 10
"""Under load with Signet there, before and after."""

STATUS_TTL = 3

# Two JVMs start here, perhaps on a machine that has other work.
spring_task_api.START_SECONDS = 400


class Service:
    """One process of a task API, and what it answered."""

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

    def ask(self):
        return self._http.get(self._path, headers=self._headers)

    def status(self):
        return self.ask().status_code

    def work(self):
        """One request of the load, recorded."""
        started, phase = time.monotonic(), self.phase
        status = self.status()
        took = time.monotonic() - started
        with self._lock:
            self.answers.setdefault(phase, Counter())[status] += 1
            self.times.setdefault(phase, []).append(took)
        time.sleep(max(0.0, THREADS / RATE - took))

    def load(self):
        return Loop(*[self.work] * THREADS)


def start(place, signet, user):
    """A process of each kind, all in their own directories."""
    services = []
    for name, kind in KINDS.items():
        directory = place.new_directory()
        process = place.own(kind(directory, signet.issuer, signet.audience))
        services.append(Service(name, process.start(), user))
    return services


class OwnPlace(Place):
    """Also ends the services."""

    def new_directory(self):
        directory = self.directory / f"service-{time.monotonic_ns()}"
        directory.mkdir()
        return directory

    def own(self, process):
        self._stack.callback(process.kill)
        return process


def main(report, place, away):
    build()
    url = f"sqlite:{place.directory}/signet.db"
    signet = place.signet(url, SIGNET_STATUS_TTL_SECONDS=str(STATUS_TTL)).start()
    client = Client(signet.url).sign_up()
    services = start(place, signet, client.body)
    for service in services:
        # The first request fetches, and on a machine that has other work not always in time.
        wait_for(lambda it=service: it.status() == 200, 60, f"{service.name}: the token is good")
    loads = [service.load() for service in services]
    with loads[0], loads[1]:
        time.sleep(SOME_SECONDS)
        enter(services, "during")
        gone_at = time.monotonic()
        signet.stop()
        late = start(place, signet, client.body)
        refusals = [service.ask() for service in late]
        time.sleep(max(0.0, away - (time.monotonic() - gone_at)))
        still = [service.status() for service in late]
        signet.start()
        back_at = time.monotonic()
        report.figure("Signet was away for", f"{back_at - gone_at:.0f} s")
        enter(services, "after")
        for service in late:
            took = wait_for(lambda it=service: it.status() == 200, 30, f"{service.name}, late")
            report.figure(f"{service.name}, started meanwhile: works after", f"{took:.1f} s")
        time.sleep(SOME_SECONDS)
    judge(report, services, [load.errors for load in loads])
    for service, answer, later in zip(late, refusals, still, strict=True):
        holds = (answer.status_code, answer.headers.get("Retry-After"), later) == (503, "5", 503)
        report.holds(holds, f"{service.name}, started meanwhile: 503 until Signet is back")
    log_out(report, signet, client, [*services, *late])


def enter(services, phase):
    for service in services:
        service.phase = phase


def judge(report, services, errors):
    """What the load was answered."""
    for service in services:
        for phase, answers in service.answers.items():
            times = milliseconds(service.times[phase])
            report.figure(f"{service.name}, {phase}", f"{dict(answers)}, {times}")
        given = sum(service.answers.values(), Counter())
        report.holds(set(given) == {200}, f"{service.name}: no request with a good token refused")
    report.holds(not any(errors), f"no error besides {errors}")


def log_out(report, signet, client, services):
    """A logout arrives after the outage as it did before."""
    bearer = {"Authorization": f"Bearer {client.body['access_token']}"}
    answer = httpx.post(f"{signet.url}/api/auth/logout", headers=bearer)
    report.holds(answer.status_code == 200, "the session is logged out")
    started = time.monotonic()
    for service in services:
        wait_for(lambda it=service: it.status() == 401, STATUS_TTL + 5, f"{service.name}: the logout")
    report.figure("the logout has reached all after", f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, help="instead of --seconds")
    arguments = parser.parse_args()
    away = arguments.minutes * 60 if arguments.minutes else arguments.seconds
    report = Report(f"verifier_outage: Signet is away for {away:.0f} s, tokens are verified")
    with at_most(int(away) + 900), OwnPlace() as place:
        main(report, place, away)
    report.end()

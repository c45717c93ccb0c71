"""Measures one recipe, and writes its figures to `target/recipes/NAME.json`.

    measure.py NAME [--long] [--only PHASE,...]

Exits with 1 if a check fails.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from recipe import TARGET, Recipe, Service, read_recipe
from callers import NO_ANSWER, Answer, Caller, Load
from forgery import claims_of
from harness import Client, Report, Workspace, time_limit, wait_for
from issuer import Issuer, TokenSource
from login import login

VALID_RATE = 20
UNKNOWN_RATE = 50
SECONDS_AFTER_ACTIVATION = 60
MAX_REVOCATION_SECONDS = 120
SHORT_TOKEN_SECONDS = 45
LEEWAY = 60
"""The maximum leeway for clock skew that a recipe may have."""

POLL_SECONDS = 0.25
MAX_START_SECONDS = 120
STATUS_TTL = 10

Figures = dict[str, Any]


class Measurement:
    """A recipe with its Signet, and the figures of its measurement."""

    def __init__(self, recipe: Recipe, workspace: Workspace, report: Report, long: bool) -> None:
        self.recipe = recipe
        self.workspace = workspace
        self.report = report
        self.long = long
        self.figures: Figures = {}
        self.service = Service(recipe, workspace.directory / "service")
        self.issuer = Issuer(workspace, self.service, long)
        self.user_id = claims_of(self.issuer.user.body["access_token"])["sub"]

    def start(self, service: Service) -> None:
        service.launch(**self.issuer.environment())
        name = service.recipe.name
        wait_for(lambda: service.answers() or service.has_exited, 120, f"a response of {name}")
        assert not service.has_exited, service.output

    def record(self, name: str, value: object) -> None:
        self.figures[name] = value
        self.report.figure(name, value)

    def is_accepted(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == self.user_id


def tokens(measurement: Measurement) -> None:
    """Checks which tokens the service accepts."""
    caller = Caller(measurement.service.port)
    valid = caller.whoami(measurement.issuer.user.body["access_token"])
    answered = f"{valid.status} {valid.body[:50]!r}"
    measurement.report.check(
        measurement.is_accepted(valid), f"a valid token is accepted ({answered})"
    )
    wait = claims_of(measurement.issuer.invalid["expired"])["exp"] + LEEWAY + 1 - time.time()
    time.sleep(max(0.0, wait))
    answers = {"no token": caller.whoami(None)}
    answers |= {name: caller.whoami(token) for name, token in measurement.issuer.invalid.items()}
    accepted = sorted(name for name, answer in answers.items() if answer.status == 200)
    measurement.record("accepts wrongly", accepted)
    measurement.record("statuses", {name: answer.status for name, answer in answers.items()})
    known = sorted(measurement.recipe.accepts_wrongly)
    measurement.report.check(
        accepted == known, f"the accepted invalid tokens are those of recipe.json: {known}"
    )


def rotation(measurement: Measurement) -> None:
    rotate(measurement, "rotation", 0)


def unknown(measurement: Measurement) -> None:
    rotate(measurement, "rotation beside unknown kids", UNKNOWN_RATE)


def rotate(measurement: Measurement, name: str, unknown_rate: int) -> None:
    """A rotation under load: a new key is published, activated, and signs for a minute."""
    with (
        TokenSource(measurement.issuer) as source,
        Load(measurement.service.port, VALID_RATE, source.choose) as valid,
    ):
        unknown_load = Load(measurement.service.port, unknown_rate or 1, source.unknown)
        if unknown_rate:
            unknown_load.__enter__()
        time.sleep(5)
        before = source.kid
        measurement.issuer.keys("rotate")
        source.wait_for_next_key(before, measurement.issuer.publication + 60)
        activated = time.monotonic()
        time.sleep(SECONDS_AFTER_ACTIVATION)
        if unknown_rate:
            unknown_load.__exit__()
    refused = [answer for answer in valid.answers if not measurement.is_accepted(answer)]
    figures: Figures = {"good tokens": len(valid.answers), "refused": len(refused)}
    if refused:
        times = [round(answer.at - activated) for answer in refused]
        figures["refused from, to (s after the activation)"] = [min(times), max(times)]
        figures["statuses"] = sorted({answer.status for answer in refused})
    if unknown_rate:
        figures["unknown kids"] = len(unknown_load.answers)
        accepted = sum(answer.status == 200 for answer in unknown_load.answers)
        measurement.report.check(accepted == 0, f"{name}: no unknown kid is accepted")
    measurement.record(name, figures)
    kids = {answer.kid for answer in valid.answers}
    two_keys = len(kids) == 2 and not source.errors
    measurement.report.check(two_keys, f"{name}: two keys have signed tokens {source.errors[:1]}")
    if measurement.recipe.refuses_in_rotation:
        measurement.report.figure(
            "valid tokens may be rejected", measurement.recipe.refuses_in_rotation
        )
    else:
        measurement.report.check(not refused, f"{name}: no valid token is rejected")


def logout(measurement: Measurement) -> None:
    """Measures how long a token is accepted after a logout."""
    measurement.issuer.signet.restart(SIGNET_ACCESS_TOKEN_SECONDS=str(SHORT_TOKEN_SECONDS))
    client = Client(measurement.issuer.signet.url).sign_up()
    token = client.body["access_token"]
    caller = Caller(measurement.service.port)
    assert caller.whoami(token).status == 200, measurement.service.output[-2000:]
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.http.post("/api/auth/logout", headers=bearer).is_success
    ended = time.monotonic()
    wait_for(
        lambda: caller.whoami(token).status == 401, SHORT_TOKEN_SECONDS + LEEWAY + 5, "a rejection"
    )
    after = time.monotonic() - ended
    expires = claims_of(token)["exp"] - time.time()
    measurement.record("logout", f"{after:.1f} s" if expires > 0 else "until it expires")
    measurement.record("leeway at most", max(0, round(-expires)) if expires <= 0 else None)
    measurement.issuer.signet.restart()
    if measurement.recipe.ours:
        bound = STATUS_TTL + 2 + 2 * POLL_SECONDS
        measurement.report.check(after <= bound, f"logout: the token is rejected within {bound} s")


def outage(measurement: Measurement) -> None:
    """Valid tokens while Signet is stopped. A second process of the service starts meanwhile."""
    seconds = 600 if measurement.long else 60
    measurement.issuer.user.refresh()
    token = measurement.issuer.user.body["access_token"]
    assert claims_of(token)["exp"] - time.time() > seconds + 10
    second = Service(measurement.recipe, measurement.workspace.directory / "late")
    measurement.workspace._stack.callback(second.kill)  # also after an interruption
    caller = Caller(measurement.service.port)
    wait_for(lambda: measurement.is_accepted(caller.whoami(token)), 30, "a valid token is accepted")
    with Load(measurement.service.port, VALID_RATE, lambda: (token, "")) as load:
        time.sleep(1)
        measurement.issuer.signet.stop()
        stopped = time.monotonic()
        try:
            started = start_without_signet(measurement, second, token, seconds - 5)
            time.sleep(max(0.0, stopped + seconds - time.monotonic()))
        finally:
            measurement.issuer.signet.start()
        restarted = time.monotonic()
        time.sleep(5)
    try:
        works = works_again(measurement, second, token)
    finally:
        second.kill()
    during = [answer for answer in load.answers if stopped <= answer.at < restarted]
    refused = [answer for answer in during if not measurement.is_accepted(answer)]
    figures: Figures = {"seconds": seconds, "good tokens": len(during), "refused": len(refused)}
    if refused:
        figures["refused from second"] = round(refused[0].at - stopped)
        figures["statuses"] = sorted({answer.status for answer in refused})
    measurement.record("outage", figures)
    measurement.record("started in the outage", {**started, **works})
    if measurement.recipe.ours:
        measurement.report.check(not refused, "outage: no valid token is rejected")
        expected = {"starts": True, "answers": 503}
        measurement.report.check(
            started == expected, "outage: a service that was started meanwhile answers 503"
        )
        measurement.report.check(
            works["works again after s"] is not None,
            "outage: a service that was started meanwhile works afterwards",
        )


def start_without_signet(
    measurement: Measurement, second: Service, token: str, seconds: float
) -> Figures:
    second.launch(**measurement.issuer.environment())
    deadline = time.monotonic() + min(seconds, MAX_START_SECONDS)
    while time.monotonic() < deadline and not second.answers() and not second.has_exited:
        time.sleep(POLL_SECONDS)
    if second.has_exited or not second.answers():
        return {"starts": False}
    return {"starts": True, "answers": Caller(second.port).whoami(token).status}


def works_again(measurement: Measurement, second: Service, token: str) -> Figures:
    """Measures when the second process accepts a token after Signet's return."""
    if second.has_exited:
        return {"works again after s": None}
    caller = Caller(second.port)
    started = time.monotonic()
    while time.monotonic() - started < 60:
        if measurement.is_accepted(caller.whoami(token)):
            # Signet has been running for 5 s when this measurement starts.
            return {"works again after s": round(time.monotonic() - started + 5)}
        time.sleep(POLL_SECONDS)
    return {"works again after s": None}


def revocation(measurement: Measurement) -> None:
    """Measures how long a token of a revoked key is accepted, beside tokens of the next key."""
    caller = Caller(measurement.service.port)
    with TokenSource(measurement.issuer) as source:
        token, kid = source.choose()
        assert caller.whoami(token).status == 200, measurement.service.output[-2000:]
        measurement.issuer.keys("revoke", kid, "--now")
        revoked = time.monotonic()
        source.wait_for_next_key(kid, 30)
        with Load(measurement.service.port, VALID_RATE, source.newest) as valid:
            accepted_for: float | None = None
            while time.monotonic() - revoked < MAX_REVOCATION_SECONDS:
                if accepted_for is None and caller.whoami(token).status not in (200, NO_ANSWER):
                    accepted_for = time.monotonic() - revoked
                if (
                    accepted_for is not None
                    and time.monotonic() - revoked > SECONDS_AFTER_ACTIVATION
                ):
                    break
                time.sleep(POLL_SECONDS)
    refused = [answer for answer in valid.answers if not measurement.is_accepted(answer)]
    duration = (
        f"more than {MAX_REVOCATION_SECONDS} s" if accepted_for is None else f"{accepted_for:.1f} s"
    )
    measurement.record("revoked key accepted for", duration)
    figures: Figures = {"good tokens": len(valid.answers), "refused": len(refused)}
    if refused:
        figures["refused until s"] = round(refused[-1].at - revoked)
    measurement.record("successor of a revoked key", figures)


PHASES: dict[str, Callable[[Measurement], None]] = {
    "logout": logout,
    "tokens": tokens,
    "outage": outage,
    "rotation": rotation,
    "revocation": revocation,
    # The last phase, because some libraries fetch no new key for a while afterwards.
    "unknown": unknown,
}


def main(name: str, long: bool, only: list[str]) -> None:
    recipe = read_recipe(name)
    report = Report(f"{recipe.library} {recipe.version} ({name})")
    with time_limit(7200 if long else 1500), Workspace() as workspace:
        recipe.make()
        measurement = Measurement(recipe, workspace, report, long)
        workspace._stack.callback(measurement.service.kill)
        measurement.figures["settings"] = {
            key: value
            for key, value in measurement.issuer.signet.settings.items()
            if "SECONDS" in key
        }
        try:
            measurement.start(measurement.service)
            if recipe.kind == "login":
                login(measurement)
            for phase in only or PHASES:
                if recipe.kind == "resource-server":
                    PHASES[phase](measurement)
        except BaseException:
            print(measurement.service.output[-3000:])
            raise
    recipe_members = {"library": recipe.library, "version": recipe.version, "kind": recipe.kind}
    file = TARGET / f"{name}{'-long' if long else ''}.json"
    before = json.loads(file.read_text()) if only and file.is_file() else {}
    file.write_text(
        json.dumps({**before, **recipe_members, **measurement.figures}, indent=1) + "\n"
    )
    report.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="phases, separated by commas")
    arguments = parser.parse_args()
    main(arguments.name, arguments.long, [phase for phase in arguments.only.split(",") if phase])

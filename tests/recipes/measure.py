"""Measures one recipe, and writes its figures to `target/recipes/NAME.json`.

    measure.py NAME [--long] [--only PHASE,...]

It exits with 1 if something that must hold for the recipe does not.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from recipe import TARGET, Recipe, Service, read
from callers import NO_ANSWER, Answer, Caller, Load
from forgery import claims_of
from harness import Client, Workspace, Report, time_limit, wait_for
from issuer import Issuer, Mint
from login import login

GOOD_RATE = 20
UNKNOWN_RATE = 50
AFTER_ACTIVATION = 60
REVOCATION_BOUND = 120
SHORT_LIFE = 45
LEEWAY = 60
"""The most that a recipe may allow for clocks that differ."""

POLL = 0.25
LATE_START = 120
STATUS_TTL = 10

Figures = dict[str, Any]


class Measurement:
    """One recipe with its Signet, and what was measured of it."""

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
        wait_for(lambda: service.answers() or service.has_exited, 120, f"an answer of {name}")
        assert not service.has_exited, service.output

    def note(self, name: str, value: object) -> None:
        self.figures[name] = value
        self.report.figure(name, value)

    def is_good(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == self.user_id


def tokens(it: Measurement) -> None:
    """Which tokens it accepts."""
    caller = Caller(it.service.port)
    good = caller.whoami(it.issuer.user.body["access_token"])
    answered = f"{good.status} {good.body[:50]!r}"
    it.report.check(it.is_good(good), f"a good token is accepted ({answered})")
    wait = claims_of(it.issuer.bad["expired"])["exp"] + LEEWAY + 1 - time.time()
    time.sleep(max(0.0, wait))
    answers = {"no token": caller.whoami(None)}
    answers |= {name: caller.whoami(token) for name, token in it.issuer.bad.items()}
    accepted = sorted(name for name, answer in answers.items() if answer.status == 200)
    it.note("accepts wrongly", accepted)
    it.note("statuses", {name: answer.status for name, answer in answers.items()})
    known = sorted(it.recipe.accepts_wrongly)
    it.report.check(accepted == known, f"it accepts wrongly what its recipe.json says: {known}")


def rotation(it: Measurement) -> None:
    rotate(it, "rotation", 0)


def unknown(it: Measurement) -> None:
    rotate(it, "rotation beside unknown kids", UNKNOWN_RATE)


def rotate(it: Measurement, name: str, unknown_rate: int) -> None:
    """A rotation under load: the key is published, signs, and is used for a minute."""
    with Mint(it.issuer) as mint, Load(it.service.port, GOOD_RATE, mint.choose) as good:
        beside = Load(it.service.port, unknown_rate or 1, mint.unknown)
        if unknown_rate:
            beside.__enter__()
        time.sleep(5)
        before = mint.kid
        it.issuer.keys("rotate")
        mint.wait_for_a_key_after(before, it.issuer.publication + 60)
        activated = time.monotonic()
        time.sleep(AFTER_ACTIVATION)
        if unknown_rate:
            beside.__exit__()
    refused = [answer for answer in good.answers if not it.is_good(answer)]
    figures: Figures = {"good tokens": len(good.answers), "refused": len(refused)}
    if refused:
        times = [round(answer.at - activated) for answer in refused]
        figures["refused from, to (s after the activation)"] = [min(times), max(times)]
        figures["statuses"] = sorted({answer.status for answer in refused})
    if unknown_rate:
        figures["unknown kids"] = len(beside.answers)
        accepted = sum(answer.status == 200 for answer in beside.answers)
        it.report.check(accepted == 0, f"{name}: no unknown kid is accepted")
    it.note(name, figures)
    kids = {answer.kid for answer in good.answers}
    two_keys = len(kids) == 2 and not mint.errors
    it.report.check(two_keys, f"{name}: tokens of two keys {mint.errors[:1]}")
    if it.recipe.refuses_in_rotation:
        it.report.figure("good tokens may be refused", it.recipe.refuses_in_rotation)
    else:
        it.report.check(not refused, f"{name}: no good token is refused")


def logout(it: Measurement) -> None:
    """How long after a logout a token is accepted."""
    it.issuer.signet.restart(SIGNET_ACCESS_TOKEN_SECONDS=str(SHORT_LIFE))
    client = Client(it.issuer.signet.url).sign_up()
    token = client.body["access_token"]
    caller = Caller(it.service.port)
    assert caller.whoami(token).status == 200, it.service.output[-2000:]
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.http.post("/api/auth/logout", headers=bearer).is_success
    ended = time.monotonic()
    wait_for(lambda: caller.whoami(token).status == 401, SHORT_LIFE + LEEWAY + 5, "a refusal")
    after = time.monotonic() - ended
    expires = claims_of(token)["exp"] - time.time()
    it.note("logout", f"{after:.1f} s" if expires > 0 else "until it expires")
    it.note("leeway at most", max(0, round(-expires)) if expires <= 0 else None)
    it.issuer.signet.restart()
    if it.recipe.ours:
        bound = STATUS_TTL + 2 + 2 * POLL
        it.report.check(after <= bound, f"logout: refused within {bound} s")


def outage(it: Measurement) -> None:
    """Signet is stopped; good tokens go on, and another copy of the service starts meanwhile."""
    seconds = 600 if it.long else 60
    it.issuer.user.refresh()
    token = it.issuer.user.body["access_token"]
    assert claims_of(token)["exp"] - time.time() > seconds + 10
    late = Service(it.recipe, it.workspace.directory / "late")
    it.workspace._stack.callback(late.kill)  # also after an interruption
    caller = Caller(it.service.port)
    wait_for(lambda: it.is_good(caller.whoami(token)), 30, "a good token is accepted")
    with Load(it.service.port, GOOD_RATE, lambda: (token, "")) as load:
        time.sleep(1)
        it.issuer.signet.stop()
        stopped = time.monotonic()
        try:
            started = start_without_signet(it, late, token, seconds - 5)
            time.sleep(max(0.0, stopped + seconds - time.monotonic()))
        finally:
            it.issuer.signet.start()
        back = time.monotonic()
        time.sleep(5)
    try:
        works = works_again(it, late, token)
    finally:
        late.kill()
    during = [answer for answer in load.answers if stopped <= answer.at < back]
    refused = [answer for answer in during if not it.is_good(answer)]
    figures: Figures = {"seconds": seconds, "good tokens": len(during), "refused": len(refused)}
    if refused:
        figures["refused from second"] = round(refused[0].at - stopped)
        figures["statuses"] = sorted({answer.status for answer in refused})
    it.note("outage", figures)
    it.note("started in the outage", {**started, **works})
    if it.recipe.ours:
        it.report.check(not refused, "outage: no good token is refused")
        expected = {"starts": True, "answers": 503}
        it.report.check(started == expected, "outage: a service started meanwhile answers 503")
        it.report.check(works["works again after s"] is not None, "outage: and works afterwards")


def start_without_signet(it: Measurement, late: Service, token: str, seconds: float) -> Figures:
    late.launch(**it.issuer.environment())
    deadline = time.monotonic() + min(seconds, LATE_START)
    while time.monotonic() < deadline and not late.answers() and not late.has_exited:
        time.sleep(POLL)
    if late.has_exited or not late.answers():
        return {"starts": False}
    return {"starts": True, "answers": Caller(late.port).whoami(token).status}


def works_again(it: Measurement, late: Service, token: str) -> Figures:
    """How long after Signet is back the copy that was started without it accepts a token."""
    if late.has_exited:
        return {"works again after s": None}
    caller = Caller(late.port)
    started = time.monotonic()
    while time.monotonic() - started < 60:
        if it.is_good(caller.whoami(token)):
            # It was 5 s back already when this began.
            return {"works again after s": round(time.monotonic() - started + 5)}
        time.sleep(POLL)
    return {"works again after s": None}


def revocation(it: Measurement) -> None:
    """For how long a token is accepted whose key is revoked, beside tokens by its successor."""
    caller = Caller(it.service.port)
    with Mint(it.issuer) as mint:
        token, kid = mint.choose()
        assert caller.whoami(token).status == 200, it.service.output[-2000:]
        it.issuer.keys("revoke", kid, "--now")
        revoked = time.monotonic()
        mint.wait_for_a_key_after(kid, 30)
        with Load(it.service.port, GOOD_RATE, mint.newest) as good:
            accepted_for: float | None = None
            while time.monotonic() - revoked < REVOCATION_BOUND:
                if accepted_for is None and caller.whoami(token).status not in (200, NO_ANSWER):
                    accepted_for = time.monotonic() - revoked
                if accepted_for is not None and time.monotonic() - revoked > AFTER_ACTIVATION:
                    break
                time.sleep(POLL)
    refused = [answer for answer in good.answers if not it.is_good(answer)]
    lasted = f"more than {REVOCATION_BOUND} s" if accepted_for is None else f"{accepted_for:.1f} s"
    it.note("revoked key accepted for", lasted)
    figures: Figures = {"good tokens": len(good.answers), "refused": len(refused)}
    if refused:
        figures["refused until s"] = round(refused[-1].at - revoked)
    it.note("successor of a revoked key", figures)


PHASES: dict[str, Callable[[Measurement], None]] = {
    "logout": logout,
    "tokens": tokens,
    "outage": outage,
    "rotation": rotation,
    "revocation": revocation,
    # The last, because some libraries then find no new key for a while.
    "unknown": unknown,
}


def main(name: str, long: bool, only: list[str]) -> None:
    recipe = read(name)
    report = Report(f"{recipe.library} {recipe.version} ({name})")
    with time_limit(7200 if long else 1500), Workspace() as workspace:
        recipe.make()
        it = Measurement(recipe, workspace, report, long)
        workspace._stack.callback(it.service.kill)
        it.figures["settings"] = {
            key: value for key, value in it.issuer.signet.settings.items() if "SECONDS" in key
        }
        try:
            it.start(it.service)
            if recipe.kind == "login":
                login(it)
            for phase in only or PHASES:
                if recipe.kind == "resource-server":
                    PHASES[phase](it)
        except BaseException:
            print(it.service.output[-3000:])
            raise
    described = {"library": recipe.library, "version": recipe.version, "kind": recipe.kind}
    file = TARGET / f"{name}{'-long' if long else ''}.json"
    before = json.loads(file.read_text()) if only and file.is_file() else {}
    file.write_text(json.dumps({**before, **described, **it.figures}, indent=1) + "\n")
    report.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="phases, separated by commas")
    given = parser.parse_args()
    main(given.name, given.long, [phase for phase in given.only.split(",") if phase])

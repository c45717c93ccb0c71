"""Measures a recipe of kind `login`: a person logs in, is known by `sub`, and logs out."""

import time
from typing import Any

from harness import PASSWORD, httpx
from person import Person

LOGOUT_SECONDS = 15


def login(it: Any) -> None:
    """`it` is the measurement of the recipe."""
    recipe, url = it.recipe, it.service.url
    stranger = httpx.get(f"{url}/whoami", follow_redirects=False)
    it.report.check(stranger.status_code != 200, "nobody is known before the login")
    # First, since consent is asked for once.
    denied = Person(it.issuer.user.email, PASSWORD, it.issuer.signet.url, url)
    refused = denied.visit(f"{url}{recipe.login}", "deny")
    it.note("consent denied", refused.status)
    it.report.check(it.user_id not in refused.text, "who denies consent is not logged in")
    person = Person(it.issuer.user.email, PASSWORD, it.issuer.signet.url, url)
    shown = person.visit(f"{url}{recipe.login}")
    is_known = shown.status == 200 and it.user_id in shown.text
    it.note("login", "works" if is_known else f"{shown.status} at {shown.url}: {shown.text[:200]}")
    it.report.check(is_known and person.logins == 1, "a login ends at a page with the sub")
    if recipe.session:
        it.report.check(knows(it, person), "the next request of the same browser is known")
    if recipe.logout:
        left = person.visit(f"{url}{recipe.logout}")
        it.report.check(left.url.startswith(url) and not knows(it, person), "logout of the service")
        logins = person.logins
        person.visit(f"{url}{recipe.login}")
        it.report.check(person.logins == logins + 1, "logout of Signet, too")
    if recipe.backchannel_logout:
        backchannel(it, person)


def knows(it: Any, person: Person) -> bool:
    # A service that sends strangers to the login is not followed there.
    browser = Person(person.email, "", it.service.url)
    browser._cookies, browser._opener = person._cookies, person._opener
    shown = browser.visit(f"{it.service.url}/whoami")
    return shown.status == 200 and it.user_id in shown.text


def backchannel(it: Any, person: Person) -> None:
    person.visit(f"{it.service.url}{it.recipe.login}")
    it.report.check(knows(it, person), "logged in again")
    assert "You are logged out" in person.visit(f"{it.issuer.signet.url}/logout").text
    started = time.monotonic()
    while knows(it, person) and time.monotonic() - started < LOGOUT_SECONDS:
        time.sleep(0.2)
    after = time.monotonic() - started
    it.note("back-channel logout", f"{after:.1f} s")
    it.report.check(after < LOGOUT_SECONDS, "a logout at Signet reaches the service")

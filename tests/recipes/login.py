"""Measures a recipe of kind `login`: a user denies consent, logs in and logs out."""

import time
from typing import Any

from harness import PASSWORD, httpx
from person import Person

LOGOUT_SECONDS = 15


def login(measurement: Any) -> None:
    """Runs the logins and logouts of a measurement."""
    recipe, url = measurement.recipe, measurement.service.url
    anonymous = httpx.get(f"{url}/whoami", follow_redirects=False)
    measurement.report.check(
        anonymous.status_code != 200, "without a login, the service identifies no user"
    )
    # Denies consent first, since a given consent is not requested again.
    denying_user = Person(
        measurement.issuer.user.email, PASSWORD, measurement.issuer.signet.url, url
    )
    denied = denying_user.visit(f"{url}{recipe.login}", "deny")
    measurement.record("consent denied", denied.status)
    measurement.report.check(
        measurement.user_id not in denied.text, "a user who denies consent is not logged in"
    )
    person = Person(measurement.issuer.user.email, PASSWORD, measurement.issuer.signet.url, url)
    page = person.visit(f"{url}{recipe.login}")
    is_identified = page.status == 200 and measurement.user_id in page.text
    measurement.record(
        "login", "works" if is_identified else f"{page.status} at {page.url}: {page.text[:200]}"
    )
    measurement.report.check(
        is_identified and person.logins == 1, "the page after the login contains the sub"
    )
    if recipe.session:
        measurement.report.check(
            is_logged_in(measurement, person), "the service identifies the user in the next request"
        )
    if recipe.logout:
        after_logout = person.visit(f"{url}{recipe.logout}")
        measurement.report.check(
            after_logout.url.startswith(url) and not is_logged_in(measurement, person),
            "the logout ends the login at the service",
        )
        logins = person.logins
        person.visit(f"{url}{recipe.login}")
        measurement.report.check(
            person.logins == logins + 1, "the logout also ends the login at Signet"
        )
    if recipe.backchannel_logout:
        backchannel(measurement, person)


def is_logged_in(measurement: Any, person: Person) -> bool:
    # The browser does not open Signet's pages, to which a service may redirect.
    browser = Person(person.email, "", measurement.service.url)
    browser._cookies, browser._opener = person._cookies, person._opener
    page = browser.visit(f"{measurement.service.url}/whoami")
    return page.status == 200 and measurement.user_id in page.text


def backchannel(measurement: Any, person: Person) -> None:
    person.visit(f"{measurement.service.url}{measurement.recipe.login}")
    measurement.report.check(is_logged_in(measurement, person), "logged in again")
    assert "You are logged out" in person.visit(f"{measurement.issuer.signet.url}/logout").text
    started = time.monotonic()
    while is_logged_in(measurement, person) and time.monotonic() - started < LOGOUT_SECONDS:
        time.sleep(0.2)
    after = time.monotonic() - started
    measurement.record("back-channel logout", f"{after:.1f} s")
    measurement.report.check(
        after < LOGOUT_SECONDS, "a logout at Signet ends the login at the service"
    )

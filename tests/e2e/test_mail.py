"""Mail: parsed by Python, opened in a browser, over TLS, and on a full disk."""

import html
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import FRONTEND, Tab, chromium
from certificate import self_signed, server_context
from clients import PASSWORD, SignetClient, random_email
from mail_server import PASSWORD as SMTP_PASSWORD
from mail_server import USER, MailServer, html_of, link_and_code, parse, text_of
from node import NodeProject
from playwright.sync_api import Browser, expect
from processes import SIGNET_BIN, ProcessKiller, Signet, clean_environment

NEW_PASSWORD = "Difference-Engine-1822"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "smtp.pem", "localhost")


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[MailServer]:
    with MailServer(server_context(certificate)) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def configure_mail(signet: Signet, server: MailServer, host: str = "localhost") -> None:
    """Sets the settings with which `signet` sends mail through `server`."""
    password = signet.master_key_path.parent / "smtp-password"
    password.write_text(f"{SMTP_PASSWORD}\n")
    signet.settings |= {
        "SIGNET_MAIL": f"smtp://{USER.replace('@', '%40')}@{host}:{server.port}",
        "SIGNET_MAIL_FROM": "Größe & Söhne <id@example.test>",
        "SIGNET_MAIL_PASSWORD_FILE": str(password),
    }


def request_mail(signet: Signet, address: str, language: str = "en") -> str:
    answer = httpx.post(
        f"{signet.url}/api/auth/password/forgotten",
        json={"email": address},
        headers={"accept-language": language},
    )
    assert answer.status_code == 202, answer.text
    handle = answer.json()["handle"]
    assert isinstance(handle, str)
    return handle


def sign_up(signet: Signet, address: str) -> None:
    with SignetClient(signet.url) as client:
        assert client.sign_up(address).status_code == 201


def test_mail_is_sent_over_starttls_and_parsed(
    signet: Signet, mail_server: MailServer, certificate: Path
) -> None:
    """RS-03, RS-04, IJ-07. No log line has an email address, a token, a code or the password."""
    configure_mail(signet, mail_server)
    signet.start(SSL_CERT_FILE=str(certificate), SIGNET_LOG="trace")
    address = "Ada.Lovelace@example.test"
    sign_up(signet, address)

    request_mail(signet, address.lower(), "de-AT, en;q=0.5")
    mail = mail_server.mail(1)

    assert mail_server.recipients == [address]
    sender = mail["From"].addresses[0]
    assert (sender.display_name, sender.addr_spec) == ("Größe & Söhne", "id@example.test")
    assert str(mail["To"]) == address
    assert mail["Subject"] == "Passwort bei Signet zurücksetzen"
    assert (mail.get_content_type(), mail["Content-Language"]) == ("multipart/alternative", "de")
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Date"] and mail["Message-ID"]
    link, code = link_and_code(mail)
    assert link.startswith(f"{signet.issuer}/reset-password?token=sgp_")
    shown = html.unescape(html_of(mail))
    assert link in shown and code in shown
    token = link.split("token=")[1]
    assert httpx.get(link).status_code == 200
    reset = {"token": token, "new_password": NEW_PASSWORD}
    assert httpx.post(f"{signet.url}/api/auth/password/reset", json=reset).status_code == 204
    assert "password" in str(mail_server.mail(2)["Subject"])
    assert signet.stop() == 0
    for secret in (address, address.lower(), token, code, code.replace("-", ""), SMTP_PASSWORD):
        assert secret not in signet.output, secret


@pytest.mark.once
def test_untrusted_certificate_is_refused(
    signet: Signet, mail_server: MailServer, certificate: Path
) -> None:
    configure_mail(signet, mail_server)
    signet.start()
    address = random_email()
    sign_up(signet, address)

    request_mail(signet, address)
    time.sleep(3)

    assert mail_server.messages == []
    assert "a mail was not sent" in signet.output and "certificate" in signet.output.lower()
    # The certificate is not for the name 127.0.0.1.
    configure_mail(signet, mail_server, "127.0.0.1")
    environment = clean_environment() | signet.settings | {"SSL_CERT_FILE": str(certificate)}
    command = [SIGNET_BIN, "mail", "test", address]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert refused.returncode == 1 and "certificate" in refused.stderr.lower(), refused
    environment["SIGNET_MAIL"] = environment["SIGNET_MAIL"].replace("127.0.0.1", "localhost")
    accepted = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert accepted.returncode == 0 and "accepted" in accepted.stdout, accepted
    # The waiting mail is sent when the certificate is trusted.
    configure_mail(signet, mail_server)
    signet.restart(SSL_CERT_FILE=str(certificate))
    assert address in str(mail_server.mail(2, seconds=90)["To"])


@pytest.mark.once
def test_full_disk_loses_no_mail(signet: Signet, tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    mails.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mails)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted")
    try:
        signet.settings |= {"SIGNET_MAIL": f"file:{mails}", "SIGNET_MAIL_FROM": "id@example.test"}
        signet.start()
        address = random_email()
        sign_up(signet, address)
        (mails / "filler").write_bytes(bytes(64 * 1024))

        request_mail(signet, address)
        time.sleep(3)
        assert [path.name for path in mails.iterdir()] == ["filler"]
        (mails / "filler").unlink()

        deadline = time.monotonic() + 60
        while not (written := list(mails.glob("*.eml"))):
            assert time.monotonic() < deadline, signet.output
            time.sleep(0.1)
        link_and_code(parse(written[0].read_bytes().replace(b"\r\n", b"\n")))
        signet.stop()
    finally:
        subprocess.run(["umount", "-l", str(mails)], check=True)


@pytest.mark.once
def test_person_resets_the_password_after_a_scanner_ran_the_scripts(
    signet: Signet, browser: Browser, kill_after_test: ProcessKiller
) -> None:
    """RS-05: the token is removed from the address bar. A scanner opens the link three times, in a
    browser that runs scripts."""
    axe = NodeProject(FRONTEND, copy_again=False).directory / "node_modules/axe-core/axe.min.js"
    with MailServer() as server:
        signet.settings |= {
            "SIGNET_MAIL": f"smtp://127.0.0.1:{server.port}?tls=off",
            "SIGNET_MAIL_FROM": "id@example.test",
        }
        signet.start()
        address = random_email()
        sign_up(signet, address)
        person = browser.new_context().new_page()
        person.goto(f"{signet.issuer}/login")
        person.get_by_role("link", name="Forgot your password?").click()
        assert Tab(person).accessibility_violations(axe.read_text()) == []
        person.locator("#username").fill(address)
        person.locator("#forgotten-submit").click()
        expect(person.get_by_label("Code")).to_be_focused()
        mail = server.mail(1)
        link, _ = link_and_code(mail)
        for _ in range(3):
            scanner = browser.new_context().new_page()
            scanner.goto(link)
            scanner.wait_for_load_state("networkidle")
            scanner.close()

        elsewhere = browser.new_context().new_page()
        elsewhere.goto(link)
        assert elsewhere.url == f"{signet.issuer}/reset-password"
        assert Tab(elsewhere).accessibility_violations(axe.read_text()) == []
        elsewhere.locator("#new-password").fill(NEW_PASSWORD)
        elsewhere.locator("#reset-submit").click()
        expect(elsewhere.get_by_role("heading")).to_have_text("Password changed")
        elsewhere.get_by_role("link", name="Log in").click()
        elsewhere.locator("#username").fill(address)
        elsewhere.locator("#password").fill(NEW_PASSWORD)
        elsewhere.locator("#login-submit").click()
        expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Your account")

        for scheme in ("light", "dark"):
            page = browser.new_context(color_scheme=scheme).new_page()
            requests: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            page.set_content(html_of(mail))
            assert Tab(page).accessibility_violations(axe.read_text()) == [], scheme
            assert requests == []
        assert PASSWORD not in text_of(mail)


@pytest.mark.once
@pytest.mark.parametrize("where", ["same browser", "other browser"])
def test_person_verifies_the_address_after_a_scanner_ran_the_scripts(
    signet: Signet, browser: Browser, where: str
) -> None:
    """EV-02, AT-05: the pages are accessible, and the token leaves the address bar."""
    axe = NodeProject(FRONTEND, copy_again=False).directory / "node_modules/axe-core/axe.min.js"
    with MailServer() as server:
        signet.settings |= {
            "SIGNET_MAIL": f"smtp://127.0.0.1:{server.port}?tls=off",
            "SIGNET_MAIL_FROM": "id@example.test",
            "SIGNET_VERIFY_EMAIL": "require",
        }
        signet.start()
        address = random_email()
        person = browser.new_context().new_page()
        person.goto(f"{signet.issuer}/signup")
        person.locator("#username").fill(address)
        person.locator("#password").fill(PASSWORD)
        person.locator("#signup-submit").click()
        expect(person.get_by_label("Code")).to_be_focused()
        assert Tab(person).accessibility_violations(axe.read_text()) == []
        server.mail(1)
        person.locator("#send-again").click()
        link, _ = link_and_code(server.mail(2))
        for _ in range(3):
            scanner = browser.new_context().new_page()
            scanner.goto(link)
            scanner.wait_for_load_state("networkidle")
            scanner.close()

        is_same = where == "same browser"
        page = person if is_same else browser.new_context().new_page()
        page.goto(link)
        assert page.url == f"{signet.issuer}/verify-email"
        assert Tab(page).accessibility_violations(axe.read_text()) == []
        if not is_same:
            page.locator("#password").fill(PASSWORD)
        page.locator("#verify-submit").click()
        expect(page.get_by_role("heading")).to_have_text("Your email address is verified")
        page.get_by_role("link", name="Log in").click()
        page.locator("#username").fill(address)
        page.locator("#password").fill(PASSWORD)
        page.locator("#login-submit").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


@pytest.mark.once
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_person_changes_the_address(signet: Signet, browser: Browser, scheme: str) -> None:
    """ID-05: on a phone, with the code, after a scanner opened the link."""
    axe = NodeProject(FRONTEND, copy_again=False).directory / "node_modules/axe-core/axe.min.js"
    with MailServer() as server:
        signet.settings |= {
            "SIGNET_MAIL": f"smtp://127.0.0.1:{server.port}?tls=off",
            "SIGNET_MAIL_FROM": "id@example.test",
            "SIGNET_MAIL_NOTICES": "false",
        }
        signet.start()
        old, new = random_email(), random_email()
        sign_up(signet, old)
        phone = {"width": 360, "height": 740}
        page = browser.new_context(color_scheme=scheme, viewport=phone).new_page()
        page.goto(f"{signet.issuer}/login")
        page.locator("#username").fill(old)
        page.locator("#password").fill(PASSWORD)
        page.locator("#login-submit").click()
        page.get_by_role("link", name="Change the address").click()
        assert Tab(page).accessibility_violations(axe.read_text()) == []
        page.locator("#email").fill(new)
        page.locator("#password").fill(PASSWORD)
        page.locator("#email-submit").click()
        expect(page.get_by_label("Code")).to_be_focused()
        assert Tab(page).accessibility_violations(axe.read_text()) == []
        mail = server.mail(1)
        assert str(mail["To"]) == new
        link, code = link_and_code(mail)
        stranger = browser.new_context(color_scheme=scheme, viewport=phone).new_page()
        stranger.goto(link)
        expect(stranger.get_by_role("heading")).to_have_text("Confirm the new address")
        assert Tab(stranger).accessibility_violations(axe.read_text()) == []
        assert old not in stranger.content()

        page.locator("#code").fill(code)
        page.locator("#verify-submit").click()

        expect(page.get_by_role("heading")).to_have_text("Your email address is changed")
        page.get_by_role("link", name="Your account").click()
        expect(page.get_by_text(new, exact=True)).to_be_visible()

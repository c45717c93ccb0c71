"""An SMTP server that receives mails, and a parser for them."""

import email
import email.policy
import ssl
import time
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from processes import free_port

USER = "signet@example.test"
PASSWORD = "Canary-Smtp-4d2a"


@dataclass
class MailServer:
    """Receives mails with STARTTLS and a login, or without TLS if there is no certificate."""

    tls: ssl.SSLContext | None = None
    recipients: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            enable_SMTPUTF8=True,
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            auth_required=self.tls is not None,
            authenticator=self._authenticate if self.tls else None,
        )

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.recipients += envelope.rcpt_tos
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content)
        return "250 accepted"

    def _authenticate(self, *arguments: object) -> AuthResult:
        login = arguments[-1]
        assert isinstance(login, LoginPassword)
        is_right = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)

    def __enter__(self) -> "MailServer":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def mail(self, number: int, seconds: float = 20) -> EmailMessage:
        """Waits for the mail with this number, and parses it strictly. The first mail is 1."""
        deadline = time.monotonic() + seconds
        while len(self.messages) < number:
            assert time.monotonic() < deadline, f"only {len(self.messages)} mails arrived"
            time.sleep(0.05)
        return parse(self.messages[number - 1])


def parse(message: bytes) -> EmailMessage:
    """Parses a mail, which must have no defects."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    for part in parsed.walk():
        assert part.defects == [], part.defects
        for name, value in part.items():
            assert value.defects == (), (name, value.defects)
    return parsed


def text_of(mail: EmailMessage) -> str:
    return part_of(mail, "plain")


def html_of(mail: EmailMessage) -> str:
    return part_of(mail, "html")


def part_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


def link_and_code(mail: EmailMessage) -> tuple[str, str]:
    lines = text_of(mail).splitlines()
    link = next(line for line in lines if line.startswith("http") and "token=" in line)
    code = next(line for line in lines if len(line) == 9 and line[4] == "-")
    return link, code

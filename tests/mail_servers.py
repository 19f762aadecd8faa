"""SMTP servers on the loopback that keep what they get, and refuse what a test wants refused."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from targets import CERTIFICATE


@dataclass
class MailServer:
    """What a test programs (replies) and reads (messages, with sender and recipients)."""

    replies: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)
    messages: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    url: str = ""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name for it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        reply = self.replies.get("MAIL", "250 OK")
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name for it
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
            self.raw.append(envelope.content)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return reply

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        known = self.logins.get(data.login.decode())
        is_right = known is not None and known == data.password.decode()
        return AuthResult(success=is_right, handled=False)


@contextmanager
def serving(*, tls: str = "", logins: dict[str, str] | None = None) -> Iterator[MailServer]:
    """Run a server on a free port; ``tls`` is "", "smtps" or "starttls"."""
    server = MailServer(logins=logins or {})
    context = _tls_context() if tls else None
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=port,
        server_hostname="localhost",
        ssl_context=context if tls == "smtps" else None,
        tls_context=context if tls == "starttls" else None,
        require_starttls=tls == "starttls",
        auth_required=bool(logins),
        authenticator=server.authenticate if logins else None,
    )
    controller.start()
    try:
        server.url = f"{'smtps' if tls == 'smtps' else 'smtp'}://127.0.0.1:{port}"
        yield server
    finally:
        controller.stop()


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context

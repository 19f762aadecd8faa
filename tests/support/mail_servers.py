"""SMTP servers on the loopback that keep what they get, and refuse what a test wants refused."""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Event, Thread
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from loopback import tls_context

_OK = "250 OK"


@dataclass
class MailServer:
    """What a test programs (replies) and reads (messages, with sender and recipients).

    A list of replies is one for each time that it is asked; what follows is taken.
    """

    replies: dict[str, str | list[str]] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)
    messages: list[EmailMessage] = field(default_factory=list, repr=False)
    raw: list[bytes] = field(default_factory=list, repr=False)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    url: str = ""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name for it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        reply = self._reply("MAIL")
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        reply = self._reply(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name for it
        reply = self._reply("DATA")
        if reply.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
            self.raw.append(envelope.content)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return reply

    def _reply(self, step: str) -> str:
        reply = self.replies.get(step, _OK)
        if isinstance(reply, list):
            return reply.pop(0) if reply else _OK
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
    context = tls_context() if tls else None
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


@dataclass
class ScriptedServer:
    """A server that says, at each step, just what a test has written, byte by byte if it wants.

    The steps are GREETING, each command by its verb, and END for the end of the message. A step's
    script is the bytes to send: at once, or in parts, with ``pause`` seconds before each.
    """

    script: dict[str, bytes | Iterable[bytes]] = field(default_factory=dict)
    pause: float = 0.0
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list, repr=False)
    #: Reads nothing after DATA was answered.
    is_deaf: bool = False
    _over: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Wakes the thread, which waits for a connection.
        with suppress(OSError), socket.create_connection(self._listener.getsockname(), 1):
            pass
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines, suppress(OSError):
                connection.settimeout(30)
                self._converse(connection, lines)

    def _converse(self, connection: socket.socket, lines: Any) -> None:
        self._say(connection, "GREETING", b"220 mail.example.com\r\n")
        while not self._over.is_set():
            line = lines.readline()
            if not line:
                return
            self.commands.append(line.decode(errors="replace").rstrip("\r\n"))
            verb = self.commands[-1].partition(" ")[0].upper()
            self._say(connection, verb, _USUAL.get(verb, b"250 OK\r\n"))
            if verb == "DATA" and self._read_message(lines):
                self._say(connection, "END", b"250 OK\r\n")
            if verb == "QUIT":
                return

    def _read_message(self, lines: Any) -> bool:
        if self.is_deaf:
            self._over.wait(30)
            return False
        content = b""
        while not content.endswith(b"\r\n.\r\n") and content != b".\r\n":
            line = lines.readline()
            if not line:
                return False
            content += line
        self.messages.append(content)
        return True

    def _say(self, connection: socket.socket, step: str, usual: bytes) -> None:
        said = self.script.get(step, usual)
        for part in [said] if isinstance(said, bytes) else said:
            if not isinstance(said, bytes) and self._over.wait(self.pause):
                return
            connection.sendall(part)


_USUAL = {
    "EHLO": b"250 mail.example.com\r\n",
    "DATA": b"354 Go on\r\n",
    "QUIT": b"221 Bye\r\n",
}

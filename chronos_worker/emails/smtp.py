"""SMTP: one conversation with a mail server, which hands over one message before a deadline.

1. Connect, greet, encrypt, log in.
2. Name the sender and the recipients. Each recipient may be refused on its own.
3. Send the message. From its last byte on, the server may have accepted it, until it replies.

smtplib has a timeout for each read only. Here every wait ends at the deadline: the look-up of the
name, the connection, the handshake, each read and each write.
"""

import base64
import hmac
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from chronos_common.domain.hosts import ascii_host
from chronos_worker import exhaustion
from chronos_worker.attempts import Deadline
from chronos_worker.delivery import NotDelivered, Refusal
from chronos_worker.emails import connecting, replies
from chronos_worker.emails.replies import Reply
from chronos_worker.exhaustion import Exhausted

_DEFAULT_PORTS: Final = {"smtp": 25, "smtps": 465}
_CHUNK: Final = 1 << 16
#: Bytes of a reply. RFC 5321, section 4.5.3.1.5 allows 512 bytes a line.
_MAX_REPLY: Final = 1 << 16
#: The longest wait for the end of a conversation whose message has been accepted.
_GOODBYE_SECONDS: Final = 2.0
_LOGINS: Final = ("CRAM-MD5", "PLAIN", "LOGIN")
_CONTINUE: Final = 334
_START_MAIL_INPUT: Final = 354
_CLOSING: Final = 421
_ALREADY_LOGGED_IN: Final = 503


class MailFailed(NotDelivered):
    """The mail server did not accept the message."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(replies.sentence(message), permanent=permanent)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """An SMTP server, from a URL like ``smtp[s]://user:password@host:port?starttls=1``."""

    host: str
    port: int
    is_tls: bool
    starts_tls: bool
    user: str
    password: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the server of a URL that the settings have checked."""
        parts = urlsplit(url)
        starts_tls = parse_qs(parts.query).get("starttls", ["0"])[-1].lower()
        return cls(
            host=ascii_host(parts.hostname or ""),
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            is_tls=parts.scheme == "smtps",
            starts_tls=starts_tls in {"1", "true", "yes", "on"},
            user=unquote(parts.username or "", errors="strict"),
            password=unquote(parts.password or "", errors="strict"),
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with its sender and recipients. All of it is ASCII, for every server."""

    sender: str
    recipients: Sequence[str]
    content: bytes


def submit(
    server: SmtpServer,
    tls: ssl.SSLContext | None,
    envelope: Envelope,
    *,
    deadline: Deadline,
    verdict_seconds: float = 0.0,
) -> Mapping[str, Refusal]:
    """Submit a message and return the recipients that were refused, possibly all of them.

    After the end of the message the server has ``verdict_seconds`` to accept or refuse it, if
    given, else until the deadline. Raises :class:`MailFailed` if it did not accept the message.
    """
    conversation = _Conversation(server, tls, deadline)
    try:
        with conversation.explaining():
            conversation.begin()
            refused = conversation.name_recipients(envelope)
            if len(refused) < len(envelope.recipients):
                conversation.transmit(envelope.content, verdict_seconds)
            conversation.say_goodbye()
    finally:
        conversation.close()
    return refused


class _Conversation(smtplib.SMTP):
    """A connection to a server, and the current step, which an error names."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext | None, deadline: Deadline) -> None:
        # Without this name smtplib would ask the DNS for one, which may take long.
        super().__init__(local_hostname=_own_name())
        self._server = server
        self._tls = tls
        self._deadline = deadline
        self._received = b""
        self._step = "connecting"
        self._may_be_taken = False

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn each error of the conversation into a :class:`MailFailed`.

        If the worker itself lacks something, and the message has not left, that is
        :class:`Exhausted` instead.
        """
        try:
            yield
        except (OSError, ValueError, smtplib.SMTPException) as error:
            lack = exhaustion.lack_behind(error)
            if lack and not self._may_be_taken:
                raise Exhausted(lack) from error
            # A timeout of the system itself has a number. The deadline's has none.
            if isinstance(error, TimeoutError) and error.errno is None:
                fault = f"time ran out after {self._deadline.seconds:g} s while {self._step}"
            else:
                fault = f"{replies.of_error(error)}, while {self._step}"
            if self._may_be_taken:
                text = (
                    f"The mail server {self._server} has the whole message, but did not say "
                    f"whether it takes it: {fault}. The recipients may have it."
                )
            else:
                text = f"No mail could be sent via {self._server}: {fault}."
            raise MailFailed(text) from error

    def begin(self) -> None:
        """Connect, greet, encrypt and log in."""
        self.sock = connecting.connect(self._server.host, self._server.port, self._deadline)
        if self._server.is_tls:
            self._encrypt()
        self._step = "waiting for its greeting"
        greeting = self._reply()
        if not greeting.is_positive:
            raise MailFailed(f"The mail server {self._server} takes no mail now: {greeting}")
        self._step = "greeting it"
        self.ehlo_or_helo_if_needed()
        if self._server.starts_tls:
            self._start_tls()
        if self._server.user:
            self._step = "logging in"
            self._log_in()

    def name_recipients(self, envelope: Envelope) -> dict[str, Refusal]:
        """Name the sender and each recipient and return the recipients that were refused."""
        self._step = "naming the sender"
        # The size is announced where the server offers that (RFC 1870).
        size = f" SIZE={len(envelope.content)}" if self.has_extn("size") else ""
        reply = self._ask("MAIL", f"FROM:<{envelope.sender}>{size}")
        if not reply.is_positive:
            raise _refusal_of_all(reply)
        self._step = "naming the recipients"
        refused = {}
        for each in envelope.recipients:
            reply = self._ask("RCPT", f"TO:<{each}>")
            if reply.code == _CLOSING or reply.is_for_the_operator:
                raise _refusal_of_all(reply)
            if not reply.is_positive:
                refused[each] = Refusal(str(reply), reply.is_permanent_for_recipient)
        return refused

    def transmit(self, content: bytes, verdict_seconds: float) -> None:
        """Send the message, and wait until the server accepts it."""
        self._step = "sending the message"
        reply = self._ask("DATA")
        if reply.code != _START_MAIL_INPUT:
            raise _refusal_of_all(reply)
        self.send(_with_end(content))
        self._may_be_taken = True
        self._step = "waiting for its answer to the message"
        if verdict_seconds:
            self._deadline = Deadline(verdict_seconds)
        reply = self._reply()
        if not reply.is_positive:
            raise _refusal_of_all(reply)

    def say_goodbye(self) -> None:
        """End the conversation. Errors do not matter, because the message has been accepted."""
        with suppress(OSError, ValueError, smtplib.SMTPException):
            self._deadline = Deadline(min(self._deadline.left(), _GOODBYE_SECONDS))
            self.docmd("QUIT")

    def _start_tls(self) -> None:
        self._step = "starting TLS"
        if not self.has_extn("starttls"):
            raise MailFailed(
                f"The mail server {self._server} does not offer STARTTLS, which "
                "CHRONOS_SMTP_URL asks for with starttls=1."
            )
        reply = self._ask("STARTTLS")
        if not reply.is_positive:
            raise MailFailed(f"The mail server refused to start TLS: {reply}")
        # Everything that was received in clear text is discarded (RFC 3207, section 4.2).
        self._received = b""
        self.helo_resp, self.ehlo_resp, self.esmtp_features = None, None, {}
        self.does_esmtp = False
        self._encrypt()
        self.ehlo_or_helo_if_needed()

    def _encrypt(self) -> None:
        self._step = "encrypting the connection (TLS)"
        assert self.sock is not None
        assert self._tls is not None
        self.sock.settimeout(self._deadline.left())
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server.host)

    def _log_in(self) -> None:
        """Log in, with the name and the password in UTF-8 (RFC 4616, section 2)."""
        offered = self.esmtp_features.get("auth", "").upper().split()
        known = [each for each in _LOGINS if each in offered]
        if not known:
            raise MailFailed(
                f"The mail server {self._server} offers no login that Chronos knows "
                f"({', '.join(_LOGINS)}). Check CHRONOS_SMTP_URL: it may need starttls=1, or no "
                "user."
            )
        refusal = None
        for name in known:
            try:
                reply = self._log_in_by(name)
            except ConnectionError:
                # Some servers close the connection after a refusal, which explains more.
                if refusal is None:
                    raise
                break
            if reply.is_positive or reply.code == _ALREADY_LOGGED_IN:
                return
            refusal = reply
        assert refusal is not None
        raise _refused_login(refusal)

    def _log_in_by(self, name: str) -> Reply:
        user, password = self._server.user.encode(), self._server.password.encode()
        if name == "PLAIN":
            return self._ask("AUTH", "PLAIN " + _base64(b"\0" + user + b"\0" + password))
        code, text = self.docmd("AUTH", name)
        if name == "LOGIN" and code == _CONTINUE:
            code, text = self.docmd(_base64(user))
            if code == _CONTINUE:
                code, text = self.docmd(_base64(password))
        elif code == _CONTINUE:
            digest = hmac.new(password, base64.b64decode(text), "md5").hexdigest()
            code, text = self.docmd(_base64(user + b" " + digest.encode()))
        return Reply.of(code, text)

    def _ask(self, command: str, arguments: str = "") -> Reply:
        return Reply.of(*self.docmd(command, arguments))

    def _reply(self) -> Reply:
        return Reply.of(*self.getreply())

    def send(self, s: Any) -> None:
        """Send everything before the deadline."""
        assert self.sock is not None
        rest = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        while rest:
            self.sock.settimeout(self._deadline.left())
            rest = rest[self.sock.send(rest[:_CHUNK]) :]

    def getreply(self) -> tuple[int, bytes]:
        """Return a whole reply, which may have several lines, before the deadline."""
        texts: list[bytes] = []
        line = b"   -"
        while line[3:4] == b"-":
            line = self._line()
            texts.append(line[4:])
            if not line[:3].isdigit():
                raise ValueError(f"it answered with something that is not SMTP ({_shown(line)})")
            if sum(map(len, texts)) > _MAX_REPLY:
                raise ValueError("its answer does not end")
        return int(line[:3]), b"\n".join(texts)

    def _line(self) -> bytes:
        assert self.sock is not None
        while b"\n" not in self._received:
            if len(self._received) > _MAX_REPLY:
                raise ValueError("its answer does not end")
            self.sock.settimeout(self._deadline.left())
            more = self.sock.recv(_CHUNK)
            if not more:
                raise ConnectionError(0, "it closed the connection")
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return line.rstrip(b"\r")


def _refused_login(reply: Reply) -> MailFailed:
    text = replies.sentence(str(reply))
    if not reply.is_final:
        return MailFailed(f"The mail server takes no login now: {text}")
    return MailFailed(
        f"The mail server refused the login: {text} Check the user and the password in "
        "CHRONOS_SMTP_URL."
    )


def _refusal_of_all(reply: Reply) -> MailFailed:
    text = f"The mail server refused the message: {replies.sentence(str(reply))}"
    if reply.is_for_the_operator:
        text += " Check CHRONOS_SMTP_URL: the server wants a login or encryption."
    return MailFailed(text, permanent=reply.is_permanent)


def _own_name() -> str:
    name = socket.gethostname()
    return name if name.isascii() and name.isprintable() and " " not in name else "[127.0.0.1]"


def _with_end(content: bytes) -> bytes:
    """Return the message with escaped dots and its end mark (RFC 5321, section 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _shown(line: bytes) -> str:
    return f'"{replies.clean(line)[:100]}"'

"""E-mail: built so that no line break of a user's makes a header, sent by SMTP or kept as a file.

Without ``CHRONOS_SMTP_URL`` each message becomes an ``.eml`` file in the mail folder.
"""

import os
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from threading import get_ident
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import certifi

from chronos_common.domain.payloads import Email
from chronos_common.errors import ChronosError, Invalid
from chronos_common.settings import Settings

#: For each step of the conversation with a mail server.
TIMEOUT_SECONDS: Final = 15.0
_DEFAULT_PORTS: Final = {"smtp": 25, "smtps": 465}
#: RFC 5321, section 4.2.1: a code of 500 and more says that trying again cannot help.
_FIRST_PERMANENT_CODE: Final = 500


class MailFailed(ChronosError):
    """The message was not taken; ``permanent`` if trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        """Take what went wrong, for a person."""
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was taken, and for whom it was not, with the server's words."""

    via: str
    refused: Mapping[str, str] = field(default_factory=dict)


def build(email: Email, *, message_id: UUID, sent_at: datetime) -> EmailMessage:
    """Return the message; the same ``message_id`` lets a mail server drop a repetition.

    Raises :class:`Invalid` for what no message can hold.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["Message-ID"] = f"<{message_id}@chronos>"
        message["Date"] = sent_at
        message["To"] = ", ".join(email.to)
        if email.cc:
            message["Cc"] = ", ".join(email.cc)
        if email.reply_to:
            message["Reply-To"] = email.reply_to
        message["Subject"] = email.subject
        # RFC 3834, section 5: no vacation answers to a machine.
        message["Auto-Submitted"] = "auto-generated"
        _set_content(message, email)
    except (ValueError, LookupError, MessageError) as error:
        raise Invalid({"payload": [f"Cannot be made into an e-mail: {error}."]}) from error
    return message


def _set_content(message: EmailMessage, email: Email) -> None:
    if email.html is None:
        message.set_content(email.body)
    elif email.body:
        message.set_content(email.body)
        message.add_alternative(email.html, subtype="html")
    else:
        message.set_content(email.html, subtype="html")


def one_line(text: str) -> str:
    """Keep what a user named from starting a header line of its own."""
    return "".join(character if character.isprintable() else " " for character in text)


@dataclass(frozen=True, slots=True)
class _Server:
    """An SMTP server, as a URL names it: ``smtp[s]://user:password@host:port?starttls=1``."""

    host: str
    port: int
    is_tls: bool
    starts_tls: bool
    user: str
    password: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Self:
        parts = urlsplit(url)
        starts_tls = parse_qs(parts.query).get("starttls", ["0"])[-1].lower()
        return cls(
            host=parts.hostname or "",
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            is_tls=parts.scheme == "smtps",
            starts_tls=starts_tls in {"1", "true", "yes", "on"},
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


class Mailer:
    """Sends messages; used by many threads at once."""

    def __init__(self, settings: Settings) -> None:
        """Take the server or the folder, and the sender; nothing is connected yet."""
        self._server = _Server.parse(settings.smtp_url) if settings.smtp_url else None
        is_tls = self._server and (self._server.is_tls or self._server.starts_tls)
        # Reading the authorities takes a tenth of a second; that is once, not for each message.
        self._tls = _tls_context() if is_tls else None
        self._sender = settings.mail_from
        self._folder = settings.mail_dir

    def send(self, message: EmailMessage, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Delivery:
        """Send ``message`` from the configured sender.

        Some recipients may be refused; raises :class:`MailFailed` when all are, or when the
        message was not taken for another reason.
        """
        try:
            if "From" not in message:
                message["From"] = self._sender
            if self._server is None:
                return self._write(message)
            refused = self._submit(self._server, message, timeout_seconds)
        except smtplib.SMTPRecipientsRefused as error:
            raise _all_refused(error) from error
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            words = f"{error.smtp_code} {_text(error.smtp_error)}"
            raise MailFailed(
                f"The mail server refused the message: {words}",
                permanent=error.smtp_code >= _FIRST_PERMANENT_CODE,
            ) from error
        except (OSError, ValueError, smtplib.SMTPException) as error:
            # Also a refused login: it is the operator's, not the job's, and may be put right soon.
            raise MailFailed(f"No mail could be sent via {self._place}: {error}") from error
        return Delivery(self._place, _refusals(refused))

    @property
    def _place(self) -> str:
        return str(self._server or self._folder.name)

    def _submit(
        self, server: _Server, message: EmailMessage, timeout: float
    ) -> Mapping[str, tuple[int, bytes]]:
        """Hand the message over; return the recipients that were refused."""
        with self._connect(server, timeout) as connection:
            if server.starts_tls:
                connection.starttls(context=self._tls)
            if server.user:
                connection.login(server.user, server.password)
            return connection.send_message(message, from_addr=parseaddr(self._sender)[1])

    def _connect(self, server: _Server, timeout: float) -> smtplib.SMTP:
        # Without a name of its own smtplib asks the DNS for one, which may take long.
        place = server.host, server.port, socket.gethostname()
        if server.is_tls:
            return smtplib.SMTP_SSL(*place, timeout=timeout, context=self._tls)
        return smtplib.SMTP(*place, timeout=timeout)

    def _write(self, message: EmailMessage) -> Delivery:
        """Write the message as a file that appears whole or not at all, once for each id."""
        name = f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}.{os.getpid()}.{get_ident()}"
        unfinished.write_bytes(message.as_bytes())
        unfinished.rename(self._folder / name)
        return Delivery(str(Path(self._folder.name) / name))


def _tls_context() -> ssl.SSLContext:
    """Trust what the system trusts, and certifi's authorities for systems that have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _all_refused(error: smtplib.SMTPRecipientsRefused) -> MailFailed:
    refused = "; ".join(f"{each} ({why})" for each, why in _refusals(error.recipients).items())
    codes = [code for code, _ in error.recipients.values()]
    return MailFailed(
        f"The mail server refused every recipient: {refused}",
        permanent=all(code >= _FIRST_PERMANENT_CODE for code in codes),
    )


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: f"{code} {_text(words)}" for address, (code, words) in refused.items()}


def _text(words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text.replace("\x00", "").split())

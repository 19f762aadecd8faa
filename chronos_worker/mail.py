"""Mail: built with ``EmailMessage``, so that no line break passes, and sent or written to a file.

Without ``CHRONOS_SMTP_URL`` each message becomes an ``.eml`` file in the mail folder.
"""

import os
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from chronos_common.domain.payloads import Email
from chronos_common.settings import Settings

TIMEOUT_SECONDS = 15.0
_DEFAULT_PORTS = {"smtp": 25, "smtps": 465}

#: RFC 5321, section 4.2.1: a code of 500 and more says that trying again cannot help.
_FIRST_PERMANENT_CODE = 500


class MailFailed(Exception):
    """The message was not taken; ``permanent`` if trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        """Take what went wrong, for a person."""
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that was taken, and for whom it was not, with the server's words."""

    via: str
    refused: Mapping[str, str]


class Mailer:
    """Sends messages; used by many threads at once."""

    def __init__(self, settings: Settings) -> None:
        """Take the server or the folder, and the sender."""
        self._url = urlsplit(settings.smtp_url)
        self._options = parse_qs(self._url.query)
        self._from = settings.mail_from
        self._folder = settings.mail_dir

    def send(self, message: EmailMessage) -> Delivery:
        """Send ``message`` from the configured sender. Raises :class:`MailFailed`."""
        message["From"] = self._from
        if not self._url.hostname:
            return self._write(message)
        try:
            with self._connection() as server:
                refused = server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            refusals = _refusals(error.recipients)
            permanent = all(code >= _FIRST_PERMANENT_CODE for code, _ in error.recipients.values())
            raise MailFailed(
                f"Every recipient was refused: {refusals}", permanent=permanent
            ) from error
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code >= _FIRST_PERMANENT_CODE
            raise MailFailed(
                f"{error.smtp_code} {_text(error.smtp_error)}", permanent=permanent
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailFailed(
                f"The mail server does not answer: {error}", permanent=False
            ) from error
        return Delivery(f"{self._url.hostname}:{self._port}", _refusals(refused))

    @property
    def _port(self) -> int:
        return self._url.port or _DEFAULT_PORTS[self._url.scheme]

    def _connection(self) -> smtplib.SMTP:
        """Connect, encrypted as the URL says, and log in if it names somebody."""
        host = self._url.hostname or ""
        server: smtplib.SMTP
        if self._url.scheme == "smtps":
            context = ssl.create_default_context()
            server = smtplib.SMTP_SSL(host, self._port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            if self._options.get("starttls", ["0"])[-1] in {"1", "true"}:
                server.starttls(context=ssl.create_default_context())
            if self._url.username:
                server.login(unquote(self._url.username), unquote(self._url.password or ""))
        except BaseException:
            server.close()
            raise
        return server

    def _write(self, message: EmailMessage) -> Delivery:
        """Write the message as a file that appears whole or not at all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        path, unfinished = self._folder / name, self._folder / f".{name}.{os.getpid()}"
        try:
            unfinished.write_bytes(message.as_bytes(policy=SMTP))
            unfinished.rename(path)
        except OSError as error:
            raise MailFailed(f"{path} cannot be written: {error}", permanent=False) from error
        return Delivery(str(Path(self._folder.name) / name), {})


def build(email: Email, *, message_id: UUID, sent_at: datetime) -> EmailMessage:
    """Return the message; the same ``message_id`` lets a mail server drop a repetition."""
    message = EmailMessage()
    message["To"] = ", ".join(email.to)
    if email.cc:
        message["Cc"] = ", ".join(email.cc)
    if email.reply_to:
        message["Reply-To"] = email.reply_to
    message["Subject"] = email.subject
    message["Date"] = format_datetime(sent_at)
    message["Message-ID"] = f"<{message_id}@chronos>"
    message["X-Chronos-Execution-Id"] = str(message_id)
    # RFC 3834, section 5: no vacation answers to a machine.
    message["Auto-Submitted"] = "auto-generated"
    if email.body or not email.html:
        message.set_content(email.body)
    if email.html and email.body:
        message.add_alternative(email.html, subtype="html")
    elif email.html:
        message.set_content(email.html, subtype="html")
    return message


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {address: f"{code} {_text(words)}" for address, (code, words) in refused.items()}


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words

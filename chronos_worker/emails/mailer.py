"""The mailer: sends messages by SMTP, or writes files if ``CHRONOS_SMTP_URL`` is not set."""

import os
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from threading import get_ident

import certifi
import structlog

from chronos_common import metrics
from chronos_common.domain.addresses import Sender, ascii_address
from chronos_common.domain.payloads.email import RecipientRules
from chronos_common.settings import Settings
from chronos_worker import exhaustion
from chronos_worker.attempts import Deadline
from chronos_worker.delivery import Delivery, Refusal
from chronos_worker.emails import message as messages
from chronos_worker.emails import replies, smtp
from chronos_worker.emails.smtp import Envelope, MailFailed, SmtpServer
from chronos_worker.exhaustion import Exhausted

_log = structlog.get_logger(__name__)


class Mailer:
    """Sends messages. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._server = SmtpServer.parse(settings.smtp_url) if settings.smtp_url else None
        is_tls = self._server and (self._server.is_tls or self._server.starts_tls)
        # Once rather than for each message: reading the authorities takes a tenth of a second.
        self._tls = _tls_context() if is_tls else None
        self._sender = Sender.parse(settings.mail_from)
        self._folder = settings.mail_dir
        self._rules = RecipientRules(settings.email_recipient_domains)

    def send(
        self,
        message: EmailMessage,
        recipients: Sequence[str],
        *,
        deadline: Deadline,
        verdict_seconds: float = 0.0,
    ) -> Delivery:
        """Send ``message`` from the configured sender to ``recipients``, which are mailboxes.

        Every wait ends at the ``deadline``. With ``verdict_seconds``, the server has so long from
        the end of the message to accept or refuse it. Raises :class:`MailFailed` if the message
        was not accepted, or if that is unknown. Raises :class:`Exhausted` if this worker could not
        attempt it. A refusal of recipients raises nothing.
        """
        messages.set_sender(message, self._sender)
        content = messages.content_of(message)
        refused = self._refused_here(recipients)
        permitted = [each for each in recipients if each not in refused]
        if not permitted:
            return Delivery("", [], refused)
        if self._server is None:
            return Delivery(self._write(message, content), permitted, refused)
        refused |= smtp.submit(
            self._server,
            self._tls,
            Envelope(self._sender.address, permitted, content),
            deadline=deadline,
            verdict_seconds=verdict_seconds,
        )
        _report(message, refused)
        accepted = [each for each in recipients if each not in refused]
        metrics.MAIL_RECIPIENTS.labels("accepted").inc(len(accepted))
        return Delivery(str(self._server), accepted, refused)

    def _refused_here(self, recipients: Sequence[str]) -> dict[str, Refusal]:
        """Return the recipients that no server is told of: no mailboxes, or not permitted."""
        faults = {each: _fault(each) or self._rules.fault(each) for each in recipients}
        return {each: Refusal(fault, is_permanent=True) for each, fault in faults.items() if fault}

    def _write(self, message: EmailMessage, content: bytes) -> str:
        """Write the message as a file, atomically. A repetition replaces it."""
        name = f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        unfinished = self._folder / f".{name}.{os.getpid()}.{get_ident()}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # It may hold a token, and the folder may be one that others read.
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(content)
            unfinished.rename(self._folder / name)
        except OSError as error:
            if lack := exhaustion.lack_behind(error):
                raise Exhausted(f"{lack}, for the folder '{self._folder.name}'") from error
            raise MailFailed(
                f"The e-mail could not be written into the folder '{self._folder.name}': "
                f"{replies.of_error(error)}. Check CHRONOS_MAIL_DIR, or set CHRONOS_SMTP_URL."
            ) from error
        return str(Path(self._folder.name) / name)


def _fault(address: str) -> str | None:
    try:
        ascii_address(address)
    except ValueError as error:
        return str(error)
    return None


def _report(message: EmailMessage, refused: Mapping[str, Refusal]) -> None:
    """Count and log the recipients that the mail server has refused."""
    for recipient, refusal in refused.items():
        result = "refused" if refusal.is_permanent else "deferred"
        metrics.MAIL_RECIPIENTS.labels(result).inc()
        _log.warning(
            "recipient refused" if refusal.is_permanent else "recipient refused for now",
            recipient=recipient,
            reply=refusal.reason,
            message_id=str(message["Message-ID"]),
        )


def _tls_context() -> ssl.SSLContext:
    """Trust the system's authorities, and those of certifi for systems that have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context

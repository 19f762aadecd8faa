"""E-mail as a channel: one message to all recipients, from the configured sender."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from chronos_common import clock
from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.payloads import Email
from chronos_common.domain.texts import one_line
from chronos_worker.attempts import Deadline
from chronos_worker.delivery import Announcement, Delivery, Refusal
from chronos_worker.emails import message as messages
from chronos_worker.emails.mailer import Mailer

#: Until the whole message is sent.
SEND_SECONDS: Final = 120.0
#: Until the server has said whether it accepts the message (RFC 5321, section 4.5.3.2.6). A
#: shorter wait could send the message twice.
VERDICT_SECONDS: Final = 600.0


class EmailChannel:
    """Sends announcements as e-mails. Thread-safe."""

    longest_send = timedelta(seconds=SEND_SECONDS + VERDICT_SECONDS)

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    def send(
        self,
        announcement: Announcement,
        recipients: Sequence[str],
        *,
        settled: Collection[str] = (),
    ) -> Delivery:
        """Send one message that names all recipients to those that are not ``settled``."""
        mailboxes, unusable = _mailboxes(recipients)
        waiting = [each for each in mailboxes if each not in settled]
        if not waiting:
            return Delivery("", [], unusable)
        email = Email(mailboxes, announcement.subject, announcement.text)
        delivery = self._mailer.send(
            messages.build(email, message_id=announcement.id, sent_at=clock.now()),
            waiting,
            deadline=Deadline(SEND_SECONDS),
            verdict_seconds=VERDICT_SECONDS,
        )
        return replace(delivery, refused={**delivery.refused, **unusable})


def _mailboxes(addresses: Sequence[str]) -> tuple[list[str], dict[str, Refusal]]:
    """Return the distinct mailboxes, and a refusal for each address that is invalid."""
    mailboxes: list[str] = []
    unusable: dict[str, Refusal] = {}
    for address in addresses:
        try:
            mailboxes.append(ascii_address(address))
        except ValueError as error:
            unusable[one_line(address)] = Refusal(str(error), is_permanent=True)
    return list(dict.fromkeys(mailboxes)), unusable

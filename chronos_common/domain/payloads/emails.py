"""E-mails: messages to one or more addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.payloads.reader import Reader
from chronos_common.domain.texts import line_fault

MAX_RECIPIENTS: Final = 50
MAX_SUBJECT_LENGTH: Final = 998


@dataclass(frozen=True, slots=True)
class Email:
    """A message as text, HTML, or both; nobody sees who else is in ``bcc``.

    A parsed one has its addresses' domains in ASCII.
    """

    to: Sequence[str]
    subject: str
    body: str = ""
    html: str | None = None
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str | None = None


def mailboxes(email: Email) -> tuple[str, ...]:
    """Return who gets a message: each mailbox once, as mail servers take it.

    Domains are compared in ASCII and small letters; what stands before the @ is the business of
    the domain alone (RFC 5321, section 2.3.11).
    """
    return tuple(dict.fromkeys(map(_mailbox, (*email.to, *email.cc, *email.bcc))))


def _mailbox(address: str) -> str:
    try:
        return ascii_address(address)
    except ValueError:
        # It was stored when other rules held; the mail server has the last word.
        return address


def parse(reader: Reader) -> Email:
    """Return the message; what is wrong is noted in ``reader``."""
    subject = reader.text("subject", required=True)
    if not reader.is_wrong("subject"):
        fault = line_fault(subject)
        if fault is None and len(subject) > MAX_SUBJECT_LENGTH:
            fault = f"At most {MAX_SUBJECT_LENGTH} characters."
        if fault:
            reader.wrong("subject", fault)
    reply_to = reader.take("reply_to", str)
    return Email(
        to=_addresses(reader, "to", required=True),
        subject=subject,
        body=reader.text("body"),
        html=reader.text("html") or None,
        cc=_addresses(reader, "cc"),
        bcc=_addresses(reader, "bcc"),
        reply_to=None if reply_to is None else _checked(reader, "reply_to", reply_to),
    )


def _addresses(reader: Reader, name: str, *, required: bool = False) -> Sequence[str]:
    """Return a list of addresses; a single string is a list of one."""
    value = reader.take_any(name)
    if value is None:
        if required:
            reader.wrong(name, "Missing; it is required.")
        return []
    if isinstance(value, str):
        return [_checked(reader, name, value)]
    if not isinstance(value, list):
        reader.wrong(name, "Must be an address or a list of addresses.")
        return []
    if required and not value:
        reader.wrong(name, "Give at least one address.")
    if len(value) > MAX_RECIPIENTS:
        reader.wrong(name, f"At most {MAX_RECIPIENTS} addresses.")
    return [_checked(reader, f"{name}.{index}", each) for index, each in enumerate(value)]


def _checked(reader: Reader, place: str, value: Any) -> str:
    if not isinstance(value, str):
        reader.wrong(place, "Must be a string.")
        return ""
    try:
        return ascii_address(value)
    except ValueError as error:
        reader.wrong(place, str(error))
        return value

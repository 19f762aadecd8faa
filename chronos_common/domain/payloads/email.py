"""E-mails: messages to one or more addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from chronos_common.domain.addresses import MAX_LENGTH, ascii_address
from chronos_common.domain.payloads.fields import (
    Faults,
    JsonSchema,
    OneLine,
    PayloadField,
    String,
)
from chronos_common.domain.payloads.payload_type import PayloadType
from chronos_common.errors import Invalid

MAX_RECIPIENTS: Final = 50
MAX_SUBJECT_LENGTH: Final = 998


@dataclass(frozen=True, slots=True)
class Email:
    """A message as text, HTML, or both. No recipient sees who is in ``bcc``.

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
    """Return the recipients of a message, each mailbox once.

    Domains are compared in ASCII and small letters. Only the domain itself may interpret the part
    before the @ (RFC 5321, section 2.3.11).
    """
    return tuple(dict.fromkeys(map(_mailbox, (*email.to, *email.cc, *email.bcc))))


def _mailbox(address: str) -> str:
    try:
        return ascii_address(address)
    except ValueError:
        # It was stored under other rules. The mail server has the last word.
        return address


@dataclass(frozen=True, slots=True)
class RecipientRules:
    """The domains that e-mails of this installation may go to. Without any, all may get them.

    ``*.example.com`` stands for all domains below ``example.com``.
    """

    domains: Sequence[str]

    def fault(self, address: str) -> str | None:
        """Return why no e-mail may go to an address, or None."""
        domain = _mailbox(address).rpartition("@")[2].lower()
        if not self.domains or any(map(partial(_is_in, domain), self.domains)):
            return None
        return (
            f"No e-mail may go to {domain} from here; use another address, or ask the operator to "
            "add the domain to CHRONOS_EMAIL_RECIPIENT_DOMAINS."
        )

    def faults(self, name: str, addresses: Sequence[str]) -> dict[str, list[str]]:
        """Return the faults of a list of addresses by their positions in the field ``name``."""
        found = {f"{name}.{i}": self.fault(each) for i, each in enumerate(addresses)}
        return {place: [fault] for place, fault in found.items() if fault}

    def check(self, email: Email) -> None:
        """Raise :class:`Invalid` if a recipient may get no e-mail."""
        lists = {"to": email.to, "cc": email.cc, "bcc": email.bcc}
        faults = [self.faults(f"payload.{name}", each) for name, each in lists.items()]
        if any(faults):
            raise Invalid({place: texts for each in faults for place, texts in each.items()})


def _is_in(domain: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return domain.endswith(pattern[1:])
    return domain == pattern


class MailAddress:
    """An address like name@example.com."""

    schema: ClassVar[JsonSchema] = {"type": "string", "format": "email", "maxLength": MAX_LENGTH}

    def read(self, value: Any, name: str, faults: Faults) -> str | None:
        """Return the address with its domain in ASCII."""
        if not isinstance(value, str):
            faults.add(name, "Must be a string.")
            return None
        try:
            return ascii_address(value)
        except ValueError as error:
            faults.add(name, str(error))
            return None


_ADDRESS: Final = MailAddress()


@dataclass(frozen=True, slots=True)
class MailAddresses:
    """An address, or a list of addresses."""

    least: int
    most: int

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of a value."""
        several: dict[str, Any] = {
            "type": "array",
            "items": _ADDRESS.schema,
            "maxItems": self.most,
        }
        if self.least:
            several["minItems"] = self.least
        return {"anyOf": [_ADDRESS.schema, several]}

    def read(self, value: Any, name: str, faults: Faults) -> list[str | None] | None:
        """Return the addresses."""
        if isinstance(value, str):
            return [_ADDRESS.read(value, name, faults)]
        if not isinstance(value, list):
            faults.add(name, "Must be an address or a list of addresses.")
            return None
        if len(value) < self.least:
            faults.add(name, "Give at least one address.")
        if len(value) > self.most:
            faults.add(name, f"At most {self.most} addresses.")
            return None
        return [_ADDRESS.read(each, f"{name}.{index}", faults) for index, each in enumerate(value)]


class OptionalText(String):
    """A text that counts as left out if it is empty."""

    def read(self, value: Any, name: str, faults: Faults) -> str | None:
        """Return the text, or None."""
        return super().read(value, name, faults) or None


EMAIL: Final = PayloadType(
    "email",
    queue="emails",
    description="A message as text, HTML, or both",
    promise="the mail server has taken the e-mail for every recipient; Chronos does not see "
    "whether it is delivered",
    is_handed_on=True,
    build=Email,
    fields=[
        PayloadField("to", MailAddresses(1, MAX_RECIPIENTS), required=True),
        PayloadField("subject", OneLine(1, longest=MAX_SUBJECT_LENGTH), required=True),
        PayloadField("body", String()),
        PayloadField("html", OptionalText()),
        PayloadField("cc", MailAddresses(0, MAX_RECIPIENTS)),
        PayloadField(
            "bcc", MailAddresses(0, MAX_RECIPIENTS), description="Copies that no recipient sees"
        ),
        PayloadField("reply_to", MailAddress()),
    ],
)

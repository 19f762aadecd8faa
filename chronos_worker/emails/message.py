"""Messages: built so that the recipient reads just what was written, and no text makes a header.

All of a message is ASCII, so that every mail server can carry it.

``email`` parses the value of each header that it is given, which decodes what looks like an
encoded word, line breaks included. So the headers that hold a user's words are folded here.
"""

import binascii
import re
from base64 import b64encode, encodebytes
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from typing import Final, Self
from uuid import UUID

from chronos_common.domain.addresses import ascii_address
from chronos_common.domain.payloads import Email
from chronos_common.domain.senders import Sender
from chronos_common.domain.texts import line_fault
from chronos_common.errors import Invalid

#: RFC 5322, section 2.1.1: the length of a line that every reader shows well.
_GOOD_LENGTH: Final = 78
#: Bytes in an encoded word: with its frame and a header's name it stays below 76 (RFC 2047).
_MAX_WORD_BYTES: Final = 39
# A line that arrives as it is: no longer than SMTP allows, without a space that gets lost at its
# end, and not like the line between two messages in a mailbox file.
_PLAIN_LINE: Final = re.compile(r"(?!From )(?:[\t -~]{0,997}[!-~])?")
#: What a name may hold without quotes (RFC 5322, section 3.2.3).
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def build(email: Email, *, message_id: UUID, sent_at: datetime) -> EmailMessage:
    """Return the message; the same ``message_id`` lets a mail server drop a repetition.

    Raises :class:`Invalid` for what no message can hold.
    """
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = f"<{message_id}@chronos>"
    message["Date"] = sent_at
    message["MIME-Version"] = "1.0"
    # RFC 3834, section 5: no vacation answers to a machine.
    message["Auto-Submitted"] = "auto-generated"
    try:
        if email.to:
            message["To"] = _HeaderValue.of_addresses("To", email.to)
        if email.cc:
            message["Cc"] = _HeaderValue.of_addresses("Cc", email.cc)
        if email.reply_to:
            message["Reply-To"] = _HeaderValue.of_addresses("Reply-To", [email.reply_to])
        message["Subject"] = _HeaderValue.of_text("Subject", email.subject)
        _set_content(message, email)
    except UnicodeEncodeError as error:
        text = "Holds half of a surrogate pair, which is no character."
        raise Invalid({"payload": [text]}) from error
    except ValueError as error:
        raise Invalid({"payload": [f"Cannot be made into an e-mail: {error}"]}) from error
    return message


def set_sender(message: EmailMessage, sender: Sender) -> None:
    """Say who the message is from."""
    message["From"] = _HeaderValue.of_sender(sender)


def content_of(message: EmailMessage) -> bytes:
    """Return the message as it is sent."""
    return message.as_bytes(policy=SMTP)


class _HeaderValue(str):
    """A header's value, which is sent just as its lines say; ``name`` has ``email`` leave it."""

    __slots__ = ("_lines", "name")

    name: str
    _lines: Sequence[str]

    @classmethod
    def _of(cls, name: str, text: str, lines: Sequence[str]) -> Self:
        header = cls(text)
        header.name, header._lines = name, lines
        return header

    @classmethod
    def of_text(cls, name: str, text: str) -> Self:
        """Return a header of a user's words."""
        if fault := line_fault(text):
            raise ValueError(f"{name}: {fault}")
        return cls._of(name, text, _words(text, room=_GOOD_LENGTH - len(name) - 2))

    @classmethod
    def of_addresses(cls, name: str, addresses: Sequence[str]) -> Self:
        """Return a header of plain addresses, one on each line."""
        text = ", ".join(map(ascii_address, addresses))
        return cls._of(name, text, text.replace(", ", ",\n").split("\n"))

    @classmethod
    def of_sender(cls, sender: Sender) -> Self:
        """Return the header of a sender."""
        if not sender.name:
            return cls._of("From", sender.address, [sender.address])
        words = _words(sender.name, room=_GOOD_LENGTH if _ATOMS.fullmatch(sender.name) else 0)
        text = f"{sender.name} <{sender.address}>"
        return cls._of("From", text, [*words, f"<{sender.address}>"])

    def fold(self, *, policy: EmailPolicy) -> str:
        """Return the header's lines; ``email`` calls this."""
        return f"{self.name}: {f'{policy.linesep} '.join(self._lines)}{policy.linesep}"


def _words(text: str, *, room: int) -> list[str]:
    """Return text for a header: as it is if that is safe, else as encoded words, one a line."""
    is_plain = text.isascii() and text == text.strip(" ") and "=?" not in text
    if is_plain and len(text) <= room:
        return [text]
    return [f"=?utf-8?b?{b64encode(part).decode()}?=" for part in _parts(text)]


def _parts(text: str) -> Iterator[bytes]:
    """Divide text between characters (RFC 2047, section 5)."""
    part = b""
    for character in text:
        encoded = character.encode()
        if len(part) + len(encoded) > _MAX_WORD_BYTES:
            yield part
            part = b""
        part += encoded
    yield part


def _set_content(message: EmailMessage, email: Email) -> None:
    if email.html is None:
        _set_text(message, email.body, "plain")
    elif email.body:
        message["Content-Type"] = "multipart/alternative"
        for text, subtype in ((email.body, "plain"), (email.html, "html")):
            part = EmailMessage(policy=SMTP)
            _set_text(part, text, subtype)
            message.attach(part)
    else:
        _set_text(message, email.html, "html")


def _set_text(part: EmailMessage, text: str, subtype: str) -> None:
    encoding, payload = _encoded(text)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = encoding
    part.set_payload(payload)


def _encoded(text: str) -> tuple[str, str]:
    """Return how text is encoded, and the encoded text, whose lines end with a line feed.

    ``email`` would encode it, but makes line breaks of other characters and adds one at the end.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    # What does not end with a line break would get one in transit.
    ends_well = lines[-1] == ""
    if ends_well and all(map(_PLAIN_LINE.fullmatch, lines)):
        return "7bit", "\n".join(lines)
    quoted = b"\n".join(binascii.b2a_qp(line.encode(), istext=False) for line in lines)
    # Broken in two, the line does not begin with these characters any more.
    quoted = re.sub(rb"^From ", b"From=\n ", quoted, flags=re.MULTILINE)
    coded = encodebytes("\r\n".join(lines).encode())
    if len(quoted) > len(coded):
        return "base64", coded.decode()
    return "quoted-printable", quoted.decode() + ("" if ends_well else "=\n")

"""E-mail messages: the recipient reads exactly what was written, and no text becomes a header.

All of a message is ASCII, so that every mail server can carry it.

The standard library's ``email`` parses each header value, and decodes text that looks like an
encoded word, line breaks included. So headers that hold a user's text are folded here.
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

from chronos_common.domain.addresses import Sender, ascii_address
from chronos_common.domain.payloads import Email
from chronos_common.domain.texts import line_fault
from chronos_common.errors import Invalid

#: The recommended length of a line (RFC 5322, section 2.1.1).
_GOOD_LENGTH: Final = 78
#: Bytes in an encoded word. With its frame and a header's name, a line stays below 76 (RFC 2047).
_MAX_WORD_BYTES: Final = 39
# A line that needs no encoding. It is no longer than SMTP allows. It has no space at its end,
# which could get lost. It does not look like the line between two messages in a mailbox file.
_PLAIN_LINE: Final = re.compile(r"(?!From )(?:[\t -~]{0,997}[!-~])?")
#: Bytes that no line of a header may hold.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
#: A name that needs no quotes (RFC 5322, section 3.2.3).
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def build(email: Email, *, message_id: UUID, sent_at: datetime) -> EmailMessage:
    """Return the message. The same ``message_id`` lets a mail server drop a repetition.

    Raises :class:`Invalid` for text that no message can hold.
    """
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = f"<{message_id}@chronos>"
    message["Date"] = sent_at
    message["MIME-Version"] = "1.0"
    # Against vacation answers (RFC 3834, section 5).
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
    """Set the ``From`` header."""
    message["From"] = _HeaderValue.of_sender(sender)


def content_of(message: EmailMessage) -> bytes:
    """Return the bytes of the message as SMTP sends them.

    Raises :class:`Invalid` if a text has become a header, or a part of the body, after all.
    """
    content = message.as_bytes(policy=SMTP)
    lines = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0] for line in lines if not line.startswith((b" ", b"\t"))]
    expected = [name.encode() for name in message]
    if names != expected or any(map(_CONTROL.search, lines)):
        raise Invalid({"payload": ["Cannot be made into an e-mail: a text breaks a header."]})
    return content


class _HeaderValue(str):
    """A header's value with its folded lines. Its ``name`` keeps ``email`` from parsing it."""

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
        """Return a header of a user's text."""
        if fault := line_fault(text):
            raise ValueError(f"{name}: {fault}")
        return cls._of(name, text, _text_lines(text, room=_GOOD_LENGTH - len(name) - 2))

    @classmethod
    def of_addresses(cls, name: str, addresses: Sequence[str]) -> Self:
        """Return a header of addresses, one on each line."""
        text = ", ".join(map(ascii_address, addresses))
        return cls._of(name, text, text.replace(", ", ",\n").split("\n"))

    @classmethod
    def of_sender(cls, sender: Sender) -> Self:
        """Return the header of a sender."""
        if not sender.name:
            return cls._of("From", sender.address, [sender.address])
        lines = _text_lines(sender.name, room=_GOOD_LENGTH if _ATOMS.fullmatch(sender.name) else 0)
        text = f"{sender.name} <{sender.address}>"
        return cls._of("From", text, [*lines, f"<{sender.address}>"])

    def fold(self, *, policy: EmailPolicy) -> str:
        """Return the header's lines. The standard library calls this."""
        return f"{self.name}: {f'{policy.linesep} '.join(self._lines)}{policy.linesep}"


def _text_lines(text: str, *, room: int) -> list[str]:
    """Return the lines of a header's text: unchanged if that is safe, else as encoded words."""
    is_plain = text.isascii() and text == text.strip(" ") and "=?" not in text
    if is_plain and len(text) <= room:
        return [text]
    return [f"=?utf-8?b?{b64encode(part).decode()}?=" for part in _parts(text)]


def _parts(text: str) -> Iterator[bytes]:
    """Divide text into encoded words, between characters (RFC 2047, section 5)."""
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
    """Return the encoding of a text, and the encoded text, whose lines end with a line feed.

    ``email`` itself would turn other characters into line breaks, and add one at the end.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    # A text without a line break at its end would get one in transit.
    ends_well = lines[-1] == ""
    if ends_well and all(map(_PLAIN_LINE.fullmatch, lines)):
        return "7bit", "\n".join(lines)
    quoted = b"\n".join(binascii.b2a_qp(line.encode(), istext=False) for line in lines)
    # Broken in two, the line no longer looks like the start of a message in a mailbox file.
    quoted = re.sub(rb"^From ", b"From=\n ", quoted, flags=re.MULTILINE)
    coded = encodebytes("\r\n".join(lines).encode())
    if len(quoted) > len(coded):
        return "base64", coded.decode()
    return "quoted-printable", quoted.decode() + ("" if ends_well else "=\n")

"""Words for people: what a mail server answers, and what keeps a connection from working.

Whatever a server says passes here before it is stored or shown. A server may say anything:
several lines, bytes that are no text, control characters.
"""

import os
import smtplib
import ssl
from typing import Final, NamedTuple

#: Characters of a server's answer that are kept.
MAX_WORDS: Final = 500

_FIRST_PERMANENT_CODE: Final = 500
_LAST_CODE: Final = 599
#: RFC 5321, section 4.5.3.1.10: old servers say that a message has too many recipients by this.
_TOO_MANY: Final = 552
#: The login or the encryption is missing (RFC 4954, section 6; RFC 3207): the operator's to
#: correct, and no fault of a message or of a recipient.
_OPERATORS: Final = frozenset({530, 534, 535, 538})


class Reply(NamedTuple):
    """What a mail server answered."""

    code: int
    words: str

    @classmethod
    def of(cls, code: int, words: bytes | str) -> "Reply":
        """Return a reply with its words cleaned."""
        return cls(code, clean(words))

    @property
    def is_positive(self) -> bool:
        """Whether the server did as it was asked."""
        return 200 <= self.code <= 299  # noqa: PLR2004 - RFC 5321, section 4.2.1

    @property
    def is_permanent(self) -> bool:
        """Whether trying again cannot help (RFC 5321, section 4.2.1)."""
        return self.is_final and not self.is_for_the_operator

    @property
    def is_final(self) -> bool:
        """Whether the same command gets the same answer again, as long as nobody acts."""
        return _FIRST_PERMANENT_CODE <= self.code <= _LAST_CODE

    @property
    def is_permanent_for_recipient(self) -> bool:
        """Whether trying this recipient again cannot help."""
        return self.is_permanent and self.code != _TOO_MANY

    @property
    def is_for_the_operator(self) -> bool:
        """Whether the settings have to be corrected."""
        return self.code in _OPERATORS

    def __str__(self) -> str:
        return f"{self.code} {self.words or '(no reason is given)'}"


def clean(words: bytes | str) -> str:
    """Return a server's words as one bounded line without control characters."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"


def sentence(text: str) -> str:
    """Return text with an end, whatever a server put there."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def of_error(error: Exception) -> str:
    """Return what an error of a socket, of TLS or of a file says, without its number."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {clean(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        reason = clean(error.reason or "").replace("_", " ").lower()
        return f"TLS failed: {reason}" if reason else "TLS failed"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {Reply.of(error.smtp_code, error.smtp_error)}"
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        text = error.strerror or (os.strerror(error.errno) if error.errno else "")
        return clean(text) or "the connection broke"
    return clean(str(error)) or "it failed without a reason"

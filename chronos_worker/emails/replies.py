"""Replies of mail servers, and errors of connections, as text for people.

Every reply passes here before it is stored or shown. It may hold several lines, bytes that are no
text, or control characters.
"""

import os
import smtplib
import ssl
from typing import Final, NamedTuple

#: Characters of a reply that are kept.
MAX_LENGTH: Final = 500

_FIRST_PERMANENT_CODE: Final = 500
_LAST_CODE: Final = 599
#: Old servers mean by this that a message has too many recipients (RFC 5321, section 4.5.3.1.10).
_TOO_MANY: Final = 552
#: The login or the encryption is missing (RFC 4954, section 6, and RFC 3207). The operator has to
#: correct that: it is no fault of a message or of a recipient.
_OPERATORS: Final = frozenset({530, 534, 535, 538})


class Reply(NamedTuple):
    """A mail server's answer to a command."""

    code: int
    text: str

    @classmethod
    def of(cls, code: int, text: bytes | str) -> "Reply":
        """Return a reply with its text cleaned."""
        return cls(code, clean(text))

    @property
    def is_positive(self) -> bool:
        """Whether the server has executed the command."""
        return 200 <= self.code <= 299  # noqa: PLR2004 - RFC 5321, section 4.2.1

    @property
    def is_permanent(self) -> bool:
        """Whether trying again cannot help (RFC 5321, section 4.2.1)."""
        return self.is_final and not self.is_for_the_operator

    @property
    def is_final(self) -> bool:
        """Whether the same command would get the same answer again."""
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
        return f"{self.code} {self.text or '(no reason is given)'}"


def clean(raw: bytes | str) -> str:
    """Return a server's text as one bounded line without control characters."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MAX_LENGTH else f"{line[:MAX_LENGTH]}…"


def sentence(text: str) -> str:
    """Return text that ends like a sentence, whether or not a server has ended it so."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def of_error(error: Exception) -> str:
    """Return the text of an error of a socket, of TLS or of a file, without its number."""
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

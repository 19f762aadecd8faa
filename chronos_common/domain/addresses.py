"""E-mail addresses: which ones every mail server can deliver to, and how they are sent."""

import re
from email.utils import parseaddr
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from chronos_common.domain.hosts import ascii_host
from chronos_common.domain.texts import line_fault

# RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3.
_MAX_LOCAL_LENGTH: Final = 64
MAX_LENGTH: Final = 254

# RFC 5321, section 4.1.2: words with dots between them, or a string in quotation marks, in which
# few servers take a space. The parser of ``email`` ends some texts with an error of its own.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART: Final = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"(?:[!#-\[\]-~]|\\[!-~])+"')


def ascii_address(value: str) -> str:
    """Return a plain address (``name@host.tld``) with its domain in ASCII.

    The part before the @ must be ASCII: servers without SMTPUTF8 (RFC 6531) take no other. Raises
    :class:`ValueError` with a text for users.
    """
    local, at, domain = value.rpartition("@")
    if not local.isascii():
        raise ValueError(
            "Must have ASCII characters only before the @; not every mail server takes others."
        )
    if not at or not domain or not _LOCAL_PART.fullmatch(local):
        raise ValueError(f"Must be an e-mail address like name@example.com{_hint(value)}.")
    if len(local) > _MAX_LOCAL_LENGTH:
        raise ValueError(f"At most {_MAX_LOCAL_LENGTH} characters before the @.")
    address = f"{local}@{_ascii_domain(domain)}"
    if len(address) > MAX_LENGTH:
        raise ValueError(f"At most {MAX_LENGTH} characters, with the domain in ASCII.")
    return address


def _hint(value: str) -> str:
    """Return the fault of a frequent form of wrong addresses."""
    local, _, domain = value.strip().rpartition("@")
    if domain.endswith(">"):
        return ", alone, without a name or angle brackets"
    if "@" in local and re.search(r"[,;]", local):
        return "; give several as a list"
    if not local.startswith('"') and (".." in local or local[:1] == "." or local[-1:] == "."):
        return (
            "; before the @, dots stand between other characters (RFC 5321, section 4.1.2), or "
            "the part is in quotation marks"
        )
    return ""


def _ascii_domain(domain: str) -> str:
    if domain.startswith("[") and domain.endswith("]"):
        return _checked_literal(domain)
    host = ascii_host(domain)
    *above, top = host.split(".")
    if not above or not top or top.isdigit():
        raise ValueError("Must have a domain like example.com after the @.")
    return host


def _checked_literal(domain: str) -> str:
    """Return an address in brackets (RFC 5321, section 4.1.3)."""
    text = domain[1:-1]
    is_six = text[:5].lower() == "ipv6:"
    try:
        IPv6Address(text[5:]) if is_six else IPv4Address(text)
    except ValueError:
        raise ValueError(f"{domain!r} is not an IP address in brackets.") from None
    return domain


def email_key(address: str) -> str:
    """Return the form in which addresses are compared, as the columns ``email_key`` hold it.

    Only the letters of ASCII change, so that no locale and no version of Unicode matters.
    """
    return address.encode().lower().decode()


class Sender(NamedTuple):
    """The sender of an e-mail. ``name`` may be empty, ``address`` is ASCII."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str) -> "Sender":
        """Return the sender of ``address`` or ``Name <address>``.

        Raises :class:`ValueError` with a text for users if it is neither.
        """
        if fault := line_fault(text):
            raise ValueError(fault)
        name, address = parseaddr(text)
        # The parser ignores characters that it does not understand.
        if _without_quotes(text) != _without_quotes(name + address):
            raise ValueError(
                'must be like chronos@example.com, or like "Chronos, Inc." <chronos@example.com>'
            )
        return cls(name, ascii_address(address))


def _without_quotes(text: str) -> str:
    return "".join(each for each in text if each not in '"\\<> ')

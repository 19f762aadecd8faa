"""Host names, as the DNS has them: ASCII, by IDNA 2008 with the mapping of UTS 46.

The rules are the same for the host of a URL and for the domain of an e-mail address. Whether an
address may be reached is checked by workers, after resolution.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final
from unicodedata import bidirectional

import idna

_MAX_LABEL_LENGTH: Final = 63
_MAX_LENGTH: Final = 253
_MAX_SHOWN: Final = 100
_ACE_PREFIX: Final = "xn--"

# The DNS has names with underscores, and with hyphens in places that registries do not give out
# (r3---sn-4g5e.example). Both resolve.
_LABEL: Final = re.compile(r"[a-z0-9_-]+")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_MAX_IPV4_PARTS: Final = 4
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on ``host`` is reached from its own machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ascii_host(name: str) -> str:
    """Return a host name in ASCII and small letters. An IP address stays as it is.

    An IPv6 address may have its brackets. Raises :class:`ValueError` with a text for users for a
    name that no DNS can hold or that the standards do not allow.
    """
    if ":" in name or name.startswith("["):
        return _checked_ipv6(name)
    mapped = _mapped(name)
    labels = [_ascii_label(label, name) for label in mapped.removesuffix(".").split(".")]
    host = ".".join(labels)
    if len(host) > _MAX_LENGTH:
        raise ValueError(
            f"The host name has {len(host)} characters in ASCII; the DNS allows {_MAX_LENGTH}."
        )
    if host.startswith("-"):
        raise ValueError(f"The host name {_shown(name)} must not begin with a hyphen.")
    if _NUMBER.fullmatch(labels[-1]) and not _is_ipv4(labels):
        raise ValueError(f"The host {_shown(name)} ends with a number but is not an IPv4 address.")
    _check_direction(labels, name)
    return f"{host}." if mapped.endswith(".") else host


def _checked_ipv6(name: str) -> str:
    is_bracketed = name.startswith("[") and name.endswith("]")
    bare = name[1:-1] if is_bracketed else name
    if "%" in bare:
        raise ValueError(
            f"The address {_shown(name)} names a network interface, which each machine calls "
            "otherwise; leave out the percent sign and the zone after it."
        )
    try:
        IPv6Address(bare)
    except ValueError:
        raise ValueError(f"The host {_shown(name)} is not an IPv6 address.") from None
    return name


def _mapped(name: str) -> str:
    if not name:
        raise ValueError("The host name is empty.")
    try:
        return idna.uts46_remap(name, std3_rules=False)
    except idna.IDNAError as error:
        raise _refused(name, error) from error


def _ascii_label(label: str, name: str) -> str:
    """Return a label of the mapped ``name`` in ASCII."""
    if not label:
        raise ValueError(f"The host name {_shown(name)} has an empty part between its dots.")
    if label.isascii():
        _check_ascii(label, name)
    if label.isascii() and not label.startswith(_ACE_PREFIX):
        return label
    try:
        return idna.alabel(label).decode()
    except idna.IDNAError as error:
        raise _refused(name, error) from error


def _check_ascii(label: str, name: str) -> None:
    if not _LABEL.fullmatch(label):
        wrong = next(character for character in label if not _LABEL.fullmatch(character))
        raise ValueError(f"The host name {_shown(name)} must not contain {wrong!r}.")
    if len(label) > _MAX_LABEL_LENGTH:
        raise ValueError(
            f"A part of the host name has {len(label)} characters; "
            f"the DNS allows {_MAX_LABEL_LENGTH} between dots."
        )


def _is_ipv4(labels: Sequence[str]) -> bool:
    """Return whether this is an IPv4 address in one of the spellings that resolvers take.

    Those are one to four numbers, decimal, octal or hexadecimal. The last one fills the rest
    (POSIX, inet_addr). The WHATWG's URL standard has the same rule for names that end so.
    """
    if len(labels) > _MAX_IPV4_PARTS or not all(map(_NUMBER.fullmatch, labels)):
        return False
    try:
        *parts, last = map(_number, labels)
    except ValueError:
        return False
    return all(part < 1 << 8 for part in parts) and last < 1 << 8 * (_MAX_IPV4_PARTS - len(parts))


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text, 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _check_direction(labels: Sequence[str], name: str) -> None:
    """Refuse a name of right-to-left labels whose other labels read in no clear direction.

    RFC 5893, section 2: one right-to-left label puts all of them under the rule.
    """
    texts = [idna.ulabel(label) for label in labels if label.startswith(_ACE_PREFIX)]
    if not any(bidirectional(each) in _RIGHT_TO_LEFT for text in texts for each in text):
        return
    try:
        for text in (*texts, *(label for label in labels if not label.startswith(_ACE_PREFIX))):
            idna.check_bidi(text, check_ltr=True)
    except idna.IDNAError as error:
        raise _refused(name, error) from error


def _refused(name: str, error: idna.IDNAError) -> ValueError:
    return ValueError(f"The host name {_shown(name)} is not allowed by IDNA 2008: {error}.")


def _shown(name: str) -> str:
    return repr(name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…")

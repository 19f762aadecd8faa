"""The header of a response: from its lines to the fields that matter.

Targets repeat themselves: most lines were seen before, and at thousands of requests a second so
were most headers as a whole. Both are cached, within bounds.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple

from chronos_common.domain import redaction
from chronos_common.domain.retries import MAX_RETRY_AFTER

#: The history keeps no more of a header than this.
KEPT_BYTES: Final = 16 << 10
#: Larger headers are not cached.
_LARGEST_CACHED_BYTES: Final = 2 << 10
#: Longer lines are not cached.
_LONGEST_CACHED_LINE_BYTES: Final = 512
_MAX_CACHED_HEADERS: Final = 2048
_MAX_CACHED_LINES: Final = 4096
#: The form of ``Retry-After`` that is not a date.
_SECONDS: Final = re.compile(r"[0-9]{1,10}")


class ResponseHeader(NamedTuple):
    """A response's fields by their names in lower case.

    ``first`` holds the first value of each field. ``Content-Encoding`` is an exception: its list
    may stand in several lines, and is whole here. ``shown`` is the part for the history, without
    secrets. It joins the values of repeated fields by commas.
    """

    first: Mapping[str, str]
    shown: Mapping[str, str]


def of(lines: Sequence[bytes]) -> ResponseHeader:
    """Return the header of the last response in ``lines``, after interim responses (1xx)."""
    if sum(map(len, lines)) <= _LARGEST_CACHED_BYTES:
        return _cached_header(tuple(lines))
    return _read(lines)


def _read(lines: Sequence[bytes]) -> ResponseHeader:
    first: dict[str, str] = {}
    shown: dict[str, str] = {}
    room = KEPT_BYTES
    for line in last(lines):
        found = _cached_field(line) if len(line) <= _LONGEST_CACHED_LINE_BYTES else _field(line)
        room -= len(line)
        if found:
            name, value, may_be_shown = found
            if name == "content-encoding" and name in first:
                value = f"{first.pop(name)}, {value}"
            first.setdefault(name, value)
            if room >= 0:
                shown[name] = f"{shown[name]}, {may_be_shown}" if name in shown else may_be_shown
    return ResponseHeader(first, shown)


_cached_header = lru_cache(maxsize=_MAX_CACHED_HEADERS)(_read)


def last(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Return the lines of the last response, without the interim responses before it."""
    starts = [at for at, line in enumerate(lines) if line[:5].upper() == b"HTTP/"]
    return lines[starts[-1] :] if starts else lines


def _field(line: bytes) -> tuple[str, str, str] | None:
    """Return a field's name in lower case, its value, and the redacted value."""
    name, separator, value = _text(line).replace("\x00", "").partition(":")
    if not separator:
        return None
    name, value = name.lower(), value.strip(" \t\r\n")
    return name, value, redaction.header(name, value)


def _text(line: bytes) -> str:
    """Decode a line as UTF-8, or else as Latin-1: HTTP leaves the encoding open."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


_cached_field = lru_cache(maxsize=_MAX_CACHED_LINES)(_field)


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """Return the wait that ``Retry-After`` asks for (RFC 9110, section 10.2.3), within bounds.

    Its ``value`` is a number of seconds or an HTTP date. A date in the past means no wait. None
    is returned for any other value.
    """
    wait = _wait(value.strip(), now) if value else None
    if wait is None:
        return None
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)


def _wait(value: str, now: datetime) -> timedelta | None:
    if _SECONDS.fullmatch(value):
        return timedelta(seconds=int(value))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # An HTTP date is always UTC, also if it leaves its zone out.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now

"""The header of a response: from the lines that came to the fields that matter.

Targets repeat themselves: most lines were seen before, and at thousands of requests a second so
were most headers as a whole. Both are remembered, within bounds.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from chronos_common.domain import redaction

#: The history keeps no more of a header than this.
KEPT_BYTES: Final = 16 << 10
#: Longer headers, and longer lines, are read anew each time.
_LARGEST_REMEMBERED_BYTES: Final = 2 << 10
_LONGEST_REMEMBERED_LINE_BYTES: Final = 512
_MAX_HEADERS: Final = 2048
_MAX_LINES: Final = 4096


class ResponseHeader(NamedTuple):
    """A response's fields by their names in lower case.

    ``first`` holds the first value of each, but the whole list of content codings, which may
    stand in several lines. ``shown`` is what the history keeps, without secrets, with the values
    of repeated fields joined by commas.
    """

    first: Mapping[str, str]
    shown: Mapping[str, str]


def of(lines: Sequence[bytes]) -> ResponseHeader:
    """Return the header that ``lines`` are, without those of interim responses (1xx) before it."""
    if sum(map(len, lines)) <= _LARGEST_REMEMBERED_BYTES:
        return _remembered(tuple(lines))
    return _read(lines)


def _read(lines: Sequence[bytes]) -> ResponseHeader:
    first: dict[str, str] = {}
    shown: dict[str, str] = {}
    room = KEPT_BYTES
    for line in last(lines):
        found = _known_field(line) if len(line) <= _LONGEST_REMEMBERED_LINE_BYTES else _field(line)
        room -= len(line)
        if found:
            name, value, may_be_shown = found
            if name == "content-encoding" and name in first:
                value = f"{first.pop(name)}, {value}"
            first.setdefault(name, value)
            if room >= 0:
                shown[name] = f"{shown[name]}, {may_be_shown}" if name in shown else may_be_shown
    return ResponseHeader(first, shown)


_remembered = lru_cache(maxsize=_MAX_HEADERS)(_read)


def last(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Return the lines of the last response, without those of interim ones before it."""
    starts = [at for at, line in enumerate(lines) if line[:5].upper() == b"HTTP/"]
    return lines[starts[-1] :] if starts else lines


def _field(line: bytes) -> tuple[str, str, str] | None:
    """Return a line's name in lower case, its value, and what may be shown of that."""
    name, separator, value = _text(line).replace("\x00", "").partition(":")
    if not separator:
        return None
    name, value = name.lower(), value.strip(" \t\r\n")
    return name, value, redaction.header(name, value)


def _text(line: bytes) -> str:
    """Return a line as its sender most likely meant it: HTTP leaves the encoding open."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


_known_field = lru_cache(maxsize=_MAX_LINES)(_field)

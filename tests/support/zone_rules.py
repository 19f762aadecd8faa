"""Rules of time zones made up for tests, as files (RFC 9636), and their exchange."""

import struct
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chronos_common.domain.cron import expression
from chronos_common.domain.timezones import files as zone_files
from chronos_common.domain.timezones import zones

#: An instant, and the offset from it on.
Change = tuple[datetime, timedelta]

Exchange = Callable[[str, bytes], None]


def zone_file(offset: timedelta, changes: Sequence[Change] = ()) -> bytes:
    """Return the file of a zone that has ``offset`` before ``changes``, in order."""
    offsets = [offset, *(each for _, each in changes)]
    counts = struct.pack(">6l", 0, 0, 0, len(changes), len(offsets), 4)
    times = b"".join(struct.pack(">q", round(at.timestamp())) for at, _ in changes)
    types = b"".join(struct.pack(">lbB", _seconds(each), 0, 0) for each in offsets)
    body = times + bytes(range(1, len(offsets))) + types + b"TST\x00"
    empty = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1) + bytes(7)
    return empty + b"TZif2" + bytes(15) + counts + body + f"\n{_posix(offsets[-1])}\n".encode()


def zone(content: bytes) -> ZoneInfo:
    """Return the zone of a file."""
    return zone_files.load(content, "Test/Zone")


def _seconds(offset: timedelta) -> int:
    return round(offset.total_seconds())


def _posix(offset: timedelta) -> str:
    # POSIX counts westwards.
    west = -_seconds(offset)
    sign, rest = "-" if west < 0 else "+", abs(west)
    return f"<TST>{sign}{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"


def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """Return what gives a zone another file, as an update of the package does."""
    shipped, files = zone_files.content, {}

    def put(name: str, content: bytes) -> None:
        files[name] = content
        forget()

    monkeypatch.setattr(zone_files, "content", lambda name: files.get(name) or shipped(name))
    return put


def forget() -> None:
    """Forget what a process remembers of the rules of zones."""
    zone_files.mark.cache_clear()
    zones.zone_of.cache_clear()
    expression._next_after.cache_clear()

"""Identifiers: time-ordered ones for rows, derived ones for occurrences.

An execution's id is a UUID version 8 (RFC 9562, section 5.8). Its first 48 bits are the scheduled
millisecond; the rest is a hash of the job and that instant, or random for a manual trigger. So
the primary key itself makes a second row for one occurrence impossible, ids sort by time, and
the id is a ready idempotency key for the target.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TAIL_BITS = 80


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds from 1970 to ``moment``."""
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(identifier: UUID) -> datetime:
    """Return the instant that the first 48 bits of a time-ordered identifier hold."""
    return _EPOCH + (identifier.int >> _TAIL_BITS) * _MILLISECOND


def new_id(moment: datetime) -> UUID:
    """Return a random identifier that sorts by ``moment`` (UUID version 7)."""
    return _timed_uuid(milliseconds(moment), secrets.randbits(_TAIL_BITS), version=7)


def occurrence_id(job_id: UUID, scheduled_for: datetime) -> UUID:
    """Return the id of the one execution that ``job_id`` has at ``scheduled_for``."""
    at = milliseconds(scheduled_for)
    digest = hashlib.blake2b(job_id.bytes + at.to_bytes(8, "big"), digest_size=10).digest()
    return _timed_uuid(at, int.from_bytes(digest, "big"), version=8)


def trigger_id(moment: datetime) -> UUID:
    """Return the id of an execution that somebody triggered at ``moment``."""
    return _timed_uuid(milliseconds(moment), secrets.randbits(_TAIL_BITS), version=8)


def lowest_at(moment: datetime) -> UUID:
    """Return the smallest identifier of ``moment``: the bound of a partition or a time range."""
    return UUID(int=milliseconds(moment) << _TAIL_BITS)


def _timed_uuid(at: int, tail: int, *, version: int) -> UUID:
    """Join 48 bits of milliseconds and 80 bits of ``tail``, with version and variant set."""
    value = at << _TAIL_BITS | tail
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)

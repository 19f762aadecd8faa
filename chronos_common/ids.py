"""Identifiers: time-ordered ones for rows, derived ones for occurrences.

An execution's id is a UUID version 8 (RFC 9562, section 5.8). Its first 48 bits are the scheduled
millisecond. The rest is a hash of the job and that instant, or random for a manual trigger. So the
primary key makes a second row for one occurrence impossible, ids sort by time, and the id serves
as idempotency key for the target.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID, SafeUUID

from chronos_common.clock import EPOCH, MILLISECOND

_TAIL_BITS = 80
_BYTES = 16

#: Length of one identifier as :func:`pack` writes it.
PACKED_LENGTH = 2 * _BYTES

# Assigning to a UUID raises an error, but setting its slots does not.
_SLOTS: Final[Any] = vars(UUID)
_set_int = _SLOTS["int"].__set__
_set_is_safe = _SLOTS["is_safe"].__set__
_UNKNOWN: Final = SafeUUID.unknown


def of_int(number: int) -> UUID:
    """Return the identifier of a number, which the caller knows to have 128 bits.

    ``UUID`` checks its argument, and takes more than twice as long for it.
    """
    made = object.__new__(UUID)
    _set_int(made, number)
    _set_is_safe(made, _UNKNOWN)
    return made


def pack(identifiers: Iterable[UUID]) -> str:
    """Return identifiers as one text, 32 hexadecimal digits for each."""
    return "".join([each.hex for each in identifiers])


def unpack(text: str) -> list[UUID]:
    """Return the identifiers of :func:`pack`. Raises ``ValueError`` for another text."""
    packed = bytes.fromhex(text)
    if len(packed) % _BYTES:
        raise ValueError("not whole identifiers")
    return [
        of_int(int.from_bytes(packed[start : start + _BYTES], "big"))
        for start in range(0, len(packed), _BYTES)
    ]


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds from 1970 to ``moment``."""
    return (moment - EPOCH) // MILLISECOND


def moment_of(identifier: UUID) -> datetime:
    """Return the instant that the first 48 bits of a time-ordered identifier hold."""
    return EPOCH + (identifier.int >> _TAIL_BITS) * MILLISECOND


def new_id(moment: datetime) -> UUID:
    """Return a random identifier that sorts by ``moment`` (UUID version 7)."""
    return _timed_uuid(milliseconds(moment), secrets.randbits(_TAIL_BITS), version=7)


def occurrence_id(job_id: UUID, scheduled_for: datetime) -> UUID:
    """Return the id of the one execution that ``job_id`` has at ``scheduled_for``."""
    at = milliseconds(scheduled_for)
    digest = hashlib.blake2b(job_id.bytes + at.to_bytes(8, "big"), digest_size=10).digest()
    return _timed_uuid(at, int.from_bytes(digest, "big"), version=8)


def trigger_id(moment: datetime) -> UUID:
    """Return the id of an execution that was triggered at ``moment``."""
    return _timed_uuid(milliseconds(moment), secrets.randbits(_TAIL_BITS), version=8)


def replay_id(replay: UUID, source: UUID, as_of: datetime) -> UUID:
    """Return the id of the one execution by which ``replay`` repeats ``source``."""
    digest = hashlib.blake2b(replay.bytes + source.bytes, digest_size=10).digest()
    return _timed_uuid(milliseconds(as_of), int.from_bytes(digest, "big"), version=8)


def lowest_at(moment: datetime) -> UUID:
    """Return the smallest identifier of ``moment``: the bound of a partition or a time range."""
    return UUID(int=milliseconds(moment) << _TAIL_BITS)


def _timed_uuid(at: int, tail: int, *, version: int) -> UUID:
    """Join 48 bits of milliseconds and 80 bits of ``tail``, with version and variant set."""
    value = at << _TAIL_BITS | tail
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return of_int(value)

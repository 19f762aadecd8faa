"""Kept answers: how much of targets' answers there is room for, in memory and in the history.

An answer may have 64 KiB. Outcomes that wait for the database would fill the memory, and a
workspace whose jobs run often would fill the disk. Without room, the beginning of a body is kept.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from chronos_common import clock
from chronos_worker.attempts import Finished

#: Of all outcomes that wait to be written.
MAX_WAITING_BYTES: Final = 64 << 20
#: Of each workspace in a day, unless the setting says otherwise.
DAILY_BYTES: Final = 1 << 30
#: Shorter bodies are always kept, and not counted.
ALWAYS_KEPT: Final = 1024

_NOTE: Final = "The rest was not kept: there was no room for it."


class KeptAnswers:
    """Counts the bodies that are kept. Use it from one thread at a time."""

    def __init__(self, daily_bytes: int = DAILY_BYTES) -> None:
        self._daily_bytes = daily_bytes
        self._waiting_bytes = 0
        self._day = clock.now().date()
        self._used: Counter[UUID] = Counter()

    def fit(self, finished: Finished, *, now: datetime) -> Finished:
        """Return the outcome with as much of its answer as there is room for."""
        size = _size(finished)
        if size <= ALWAYS_KEPT:
            return finished
        if now.date() != self._day:
            self._day, self._used = now.date(), Counter()
        workspace_id = finished.claimed.workspace_id
        if (
            self._waiting_bytes + size > MAX_WAITING_BYTES
            or self._used[workspace_id] + size > self._daily_bytes
        ):
            return _cut(finished)
        self._waiting_bytes += size
        self._used[workspace_id] += size
        return finished

    def release(self, written: Iterable[Finished]) -> None:
        """Give back the room in memory of outcomes that were written."""
        self._waiting_bytes -= sum(size for each in written if (size := _size(each)) > ALWAYS_KEPT)


def _size(finished: Finished) -> int:
    """Return the length of the body. A character of another alphabet takes more than a byte."""
    response = finished.attempt.response
    return len(response.get("body") or "") if response else 0


def _cut(finished: Finished) -> Finished:
    response = dict(finished.attempt.response or {})
    notes = (response.get("note"), _NOTE)
    response |= {
        "body": response["body"][:ALWAYS_KEPT],
        "body_truncated": True,
        "note": " ".join(filter(None, notes)),
    }
    return finished._replace(attempt=finished.attempt._replace(response=response))

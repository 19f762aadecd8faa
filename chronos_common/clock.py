"""The one place that reads the clock, corrected to the database's time.

Hosts whose clocks are wrong would otherwise start jobs early or late. Schedulers and workers
measure the difference to PostgreSQL's clock (``storage.database.measure_clock``) and apply it
here, so that a wrong host clock does not matter.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from chronos_common import failpoints

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
#: The resolution of instants, here and in PostgreSQL.
MICROSECOND = timedelta(microseconds=1)

_correction = timedelta(0)


def now() -> datetime:
    """Return the current instant in UTC, by the database's clock once it was measured."""
    return host_now() + _correction


def correct_by(difference: timedelta) -> None:
    """Add ``difference`` (database time minus host time) to every later reading."""
    global _correction  # noqa: PLW0603 - one process has one clock
    _correction = difference


def host_now() -> datetime:
    """Return the host's own, uncorrected time, to measure its difference to the database."""
    return datetime.fromtimestamp(time.time() + failpoints.CLOCK_SECONDS, UTC)


def floor(moment: datetime, step: timedelta) -> datetime:
    """Return the latest multiple of ``step`` since 1970 that is not after ``moment``."""
    return EPOCH + (moment - EPOCH) // step * step


def to_milliseconds(moment: datetime) -> datetime:
    """Cut ``moment`` to whole milliseconds, the resolution of schedules and execution ids."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 writes it, in UTC and in milliseconds."""
    return f"{_to_the_second((moment - EPOCH) // SECOND)}.{moment.microsecond // 1000:03d}Z"


# Thousands of executions have their second in common, and writing it takes the longest.
@lru_cache(maxsize=1024)
def _to_the_second(second: int) -> str:
    return (EPOCH + second * SECOND).replace(tzinfo=None).isoformat()

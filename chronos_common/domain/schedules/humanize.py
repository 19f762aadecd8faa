"""Durations and instants in plain English."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chronos_common.clock import MILLISECOND, SECOND

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def every(seconds: int) -> str:
    """Return a rhythm: ``every second``, ``every 2 hours``, ``every 1 minute and 30 seconds``."""
    text = duration(timedelta(seconds=seconds))
    number, _, unit = text.partition(" ")
    return f"every {unit if number == '1' and ' ' not in unit else text}"


def duration(length: timedelta) -> str:
    """Return ``1 hour and 3.250 seconds``, with milliseconds only where there are some.

    One that is not positive is ``0 seconds``.
    """
    seconds, rest = divmod(max(length, timedelta()), SECOND)
    texts = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            texts.append(f"{number} {unit}{_plural(number)}")
    if milliseconds := rest // MILLISECOND:
        texts.append(f"{seconds}.{milliseconds:03} seconds")
    elif seconds or not texts:
        texts.append(f"{seconds} second{_plural(seconds)}")
    return joined(texts)


def joined(texts: Sequence[str], conjunction: str = "and") -> str:
    """Return a list: ``a``, ``a and b``, ``a, b and c``."""
    if len(texts) == 1:
        return texts[0]
    return f"{', '.join(texts[:-1])} {conjunction} {texts[-1]}"


def _plural(number: int) -> str:
    return "" if number == 1 else "s"


def moment(instant: datetime) -> str:
    """Return an instant in UTC, with milliseconds only where there are some."""
    in_utc = instant.astimezone(UTC)
    fraction = f".{in_utc.microsecond // 1000:03}" if in_utc.microsecond else ""
    return f"{in_utc:%Y-%m-%d %H:%M:%S}{fraction} UTC"

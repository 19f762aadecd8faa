"""Durations and instants in plain English."""

from datetime import UTC, datetime

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def every(seconds: int) -> str:
    """Return a rhythm: ``every second``, ``every 2 hours``, ``every 1 minute and 30 seconds``."""
    parts = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append((number, unit))
    if len(parts) == 1 and parts[0][0] == 1:
        return f"every {parts[0][1]}"
    texts = [f"{number} {unit}{'s' if number > 1 else ''}" for number, unit in parts]
    return "every " + " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def moment(instant: datetime) -> str:
    """Return an instant in UTC, with milliseconds only where there are some."""
    in_utc = instant.astimezone(UTC)
    fraction = f".{in_utc.microsecond // 1000:03}" if in_utc.microsecond else ""
    return f"{in_utc:%Y-%m-%d %H:%M:%S}{fraction} UTC"

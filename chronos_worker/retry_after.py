"""How long a target asks to be left alone: ``Retry-After`` (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from chronos_common.domain.retries import MAX_RETRY_AFTER

_SECONDS = re.compile(r"[0-9]{1,10}")


def parse(value: str | None, *, now: datetime) -> timedelta | None:
    """Return the wait that ``value`` (seconds, or an HTTP date) asks for, within bounds.

    A date in the past means no wait; what is neither means that nothing was asked for.
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
    # An HTTP date is always UTC, also where it leaves its zone out.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now

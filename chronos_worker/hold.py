"""Holding a batch until just before its instant, bounded, and ended early by a stop."""

from datetime import datetime, timedelta
from threading import Event

from chronos_common import clock

#: A batch may arrive up to the scheduler's lookahead early, and hosts differ a little.
LONGEST = timedelta(seconds=15)


class TooEarly(Exception):
    """The instant is too far away: the message is not from our scheduler, or a clock is wrong."""


def until(moment: datetime, *, stop: Event) -> bool:
    """Wait until ``moment``; False if ``stop`` was set before. Raises :class:`TooEarly`."""
    ahead = moment - clock.now()
    if ahead > LONGEST:
        raise TooEarly(f"{moment} is {ahead} away")
    return not stop.wait(max(ahead.total_seconds(), 0))

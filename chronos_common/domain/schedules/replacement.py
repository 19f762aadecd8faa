"""What changes if a schedule takes the place of another one: instants that go, and that come.

Only the schedules themselves are compared: neither pauses nor the number of runs that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chronos_common.domain.schedules.schedule import Schedule

#: Instants of either schedule that are compared.
MAX_COMPARED = 100


@dataclass(frozen=True, slots=True)
class Replacement:
    """The instants of two schedules, compared up to and including ``until``.

    ``until`` is None if all that are left of both were compared. ``kept`` counts the instants that
    both have.
    """

    dropped: Sequence[datetime]
    added: Sequence[datetime]
    kept: int
    until: datetime | None


def compare(before: Schedule, after: Schedule, *, since: datetime) -> Replacement:
    """Compare the instants after ``since`` of a schedule with those of its replacement.

    At most :data:`MAX_COMPARED` of each are looked at. The comparison ends where one of the two
    has reached that number.
    """
    old, new = (each.upcoming(since, MAX_COMPARED) for each in (before, after))
    until = min((each[-1] for each in (old, new) if len(each) == MAX_COMPARED), default=None)
    went, came = (
        {each for each in instants if until is None or each <= until} for instants in (old, new)
    )
    return Replacement(sorted(went - came), sorted(came - went), len(went & came), until)

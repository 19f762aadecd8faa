"""The referee: matches the target's log with PostgreSQL's rows, one to one.

Nothing that a component says of itself counts here. A request is known by its execution and
attempt; a row by its id, job and scheduled instant.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from benchmarks.target import Arrival
from chronos_common import ids

#: Of these not even one may happen.
FAULTS = ("missing", "unsent", "unrecorded", "duplicates", "mismatched")

FINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True)
class Row:
    """An execution as PostgreSQL has it at the end; ``attempts`` are those recorded."""

    id: str
    job_id: str
    scheduled_ms: int
    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of all that was due.

    ``missing`` occurrences have no row; ``unsent`` rows claim an attempt that no request stands
    for; ``unrecorded`` requests have no attempt in a row, or a row without a fate; ``duplicates``
    came again with the same execution and attempt; ``mismatched`` name another job or instant
    than their row does; ``not_succeeded`` rows have another fate than success.
    """

    rows: int
    requests: int
    missing: int
    unsent: int
    unrecorded: int
    duplicates: int
    mismatched: int
    not_succeeded: int

    @property
    def faults(self) -> dict[str, int]:
        """The counts of what must not happen, by name."""
        return {name: getattr(self, name) for name in FAULTS}

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, mixed up or left unrecorded."""
        return not any(self.faults.values())


def rows_of(engine: Engine) -> list[Row]:
    """Read every execution there is."""
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(
            "SELECT id::text, job_id::text, (extract(epoch FROM scheduled_for) * 1000)::bigint,"
            " status, json_array_length(attempts) FROM executions"
        )
        return [Row(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that can be seen from outside, after the end."""

    rows: Sequence[Row]
    arrivals: Sequence[Arrival]
    excused_duplicates: int = 0


def judge(seen: Seen, *, expected: int) -> Verdict:
    """Match rows and requests; ``expected`` is how many occurrences were due."""
    by_id = {row.id: row for row in seen.rows}
    requests = Counter(execution for execution, _ in _distinct(seen.arrivals))
    differences = [row.attempts - requests[row.id] for row in seen.rows]
    without_row = sum(count for execution, count in requests.items() if execution not in by_id)
    without_fate = sum(row.status not in FINAL for row in seen.rows)
    occurrences = {(row.job_id, row.scheduled_ms) for row in seen.rows}
    return Verdict(
        rows=len(seen.rows),
        requests=len(seen.arrivals),
        missing=max(expected - len(occurrences), 0),
        unsent=sum(max(difference, 0) for difference in differences),
        unrecorded=without_row + without_fate + sum(max(-each, 0) for each in differences),
        duplicates=duplicates(seen.arrivals) + seen.excused_duplicates,
        mismatched=sum(
            _is_mismatched(each, by_id.get(each.execution_id)) for each in seen.arrivals
        ),
        not_succeeded=sum(row.status != "succeeded" for row in seen.rows),
    )


def duplicates(arrivals: Sequence[Arrival]) -> int:
    """Return how many requests came again with the same execution and attempt."""
    return len(arrivals) - len(_distinct(arrivals))


def _distinct(arrivals: Sequence[Arrival]) -> set[tuple[str, int]]:
    return {(each.execution_id, each.attempt) for each in arrivals}


def _is_mismatched(arrival: Arrival, row: Row | None) -> bool:
    return row is not None and (
        arrival.job_id != row.job_id or arrival.scheduled_ms != row.scheduled_ms
    )


def drifts_ms(arrivals: Sequence[Arrival], *, since: datetime, until: datetime) -> list[float]:
    """Return how late each first attempt scheduled in [since, until) arrived, sorted."""
    lowest, highest = ids.milliseconds(since), ids.milliseconds(until)
    return sorted(
        (each.at_ns - each.scheduled_ms * 1_000_000) / 1e6
        for each in arrivals
        if each.attempt == 1 and lowest <= each.scheduled_ms < highest
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the sorted values do not exceed.

    Of no values at all it is infinite: what never came is later than anything.
    """
    if not ordered:
        return math.inf
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

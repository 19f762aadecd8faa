"""The referee: matches the target's log with PostgreSQL's rows, one to one.

Statements of a component about itself do not count here. A request is identified by its execution
and attempt, a row by its id, job and scheduled instant.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from benchmarks.target import Arrival
from chronos_common import ids

#: Faults, none of which may happen.
FAULTS = ("missing", "unsent", "unrecorded", "duplicates", "mismatched")

FINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})


@dataclass(frozen=True, slots=True)
class Row:
    """An execution as PostgreSQL has it at the end. ``attempts`` are those recorded."""

    id: str
    job_id: str
    scheduled_ms: int
    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The results of all due occurrences.

    ``missing`` occurrences have no row. ``unsent`` rows have an attempt without a request.
    ``unrecorded`` requests have no attempt in a row, or a row that has not ended. ``duplicates``
    came again with the same execution and attempt. ``mismatched`` requests name another job or
    instant than their row. ``not_succeeded`` rows ended without success.
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
        """The number of each fault, by name."""
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
    """All requests and rows, after the end."""

    rows: Sequence[Row]
    arrivals: Sequence[Arrival]
    excused_duplicates: int = 0


def judge(seen: Seen, *, expected: int) -> Verdict:
    """Match rows and requests. ``expected`` is the number of due occurrences."""
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

    Without values it is infinite: a request that never came is later than any other.
    """
    if not ordered:
        return math.inf
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

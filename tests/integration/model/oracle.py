"""What ought to happen, in plain memory: which instants a job has, and that each has one fate.

It adds seconds and compares sets. Nothing here is shared with the code that it judges.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chronos_common.domain.statuses import MOVES, Status

SECOND = timedelta(seconds=1)

#: A schedule may be planned so far ahead of its instants when it is changed.
AHEAD = timedelta(seconds=1)

MAX_REDELIVERIES = 5

Row = Mapping[str, Any]


@dataclass
class Period:
    """A time in which a job had one schedule, as the API answered it."""

    kind: str
    step: int
    anchor: datetime | None
    began: datetime
    max_runs: int | None
    ended: datetime | None = None

    @classmethod
    def of(cls, answer: Row, began: datetime) -> "Period":
        expression = answer["expression"]
        step = int(expression.split()[0][2:]) if expression else answer["interval_seconds"] or 0
        return cls(answer["kind"], step, answer["anchor"], began, answer["runs_left"])

    def instants(self, until: datetime) -> Iterator[datetime]:
        """Yield the instants from the beginning to ``until``."""
        if self.kind == "once":
            assert self.anchor is not None
            yield from (each for each in [self.anchor] if self.began <= each <= until)
        elif self.kind == "interval":
            assert self.anchor is not None
            instant = self.anchor
            while instant <= until:
                if instant >= self.began:
                    yield instant
                instant += self.step * SECOND
        else:
            instant = self.began.replace(microsecond=0)
            while instant <= until:
                if instant >= self.began and instant.second % self.step == 0:
                    yield instant
                instant += SECOND


@dataclass
class Job:
    """What the model knows of a job."""

    id: UUID
    periods: list[Period]
    status: str = "active"
    stopped_at: datetime | None = None
    max_attempts: int = 1

    @property
    def period(self) -> Period:
        return self.periods[-1]

    def reschedule(self, answer: Row, now: datetime) -> None:
        self.period.ended = now
        self.periods.append(Period.of(answer, now))


def check_moves(
    before: Mapping[UUID, Row], after: Mapping[UUID, Row], returned: Collection[UUID]
) -> None:
    """Check that nothing vanished, that what had its fate kept it, and every move is allowed.

    Only what a stopping worker ``returned`` is taken from it without a redelivery's being counted.
    """
    assert before.keys() <= after.keys(), "an execution vanished"
    for identifier, old in before.items():
        new = after[identifier]
        if old["finished_at"] is not None:
            assert new == old, f"a fate was changed: {old} -> {new}"
        assert _may_become(Status(old["status"]), Status(new["status"])), (old, new)
        if new["status"] == "succeeded":
            assert old["status"] in {"running", "succeeded"}, f"nobody held it: {old} -> {new}"
        if (old["status"], new["status"]) == ("running", "queued") and identifier not in returned:
            assert new["redeliveries"] > old["redeliveries"], (old, new)
        assert new["attempt"] >= old["attempt"]
        assert new["redeliveries"] >= old["redeliveries"]
        assert len(new["attempts"]) >= len(old["attempts"])


def check_rows(rows: Mapping[UUID, Row], jobs: Mapping[UUID, Job]) -> None:
    """Check the bounds that hold at any time."""
    for row in rows.values():
        assert row["redeliveries"] <= MAX_REDELIVERIES, row
        assert row["attempt"] <= jobs[row["job_id"]].max_attempts, row
        assert (row["finished_at"] is not None) == (not MOVES[Status(row["status"])]), row
        assert row["reason"] or row["status"] not in {"skipped", "cancelled"}, row


def _may_become(old: Status, new: Status) -> bool:
    reached, todo = {old}, [old]
    while todo:
        following = MOVES[todo.pop()] - reached
        reached |= following
        todo += following
    return new in reached


def account(job: Job, rows: Collection[Row], now: datetime) -> None:
    """Check that every instant that was due is in exactly one row, and nothing else is.

    What a paused job has not planned has no fate before it is resumed, changed or deleted; a
    schedule that used up its runs has no more instants.
    """
    mine = [row for row in rows if row["job_id"] == job.id and row["trigger"] == "schedule"]
    due = [(period, each) for period in job.periods for each in _due_of(job, period, now)]
    covered = Counter(each for row in mine for each in _covered(row, job))
    doubled = [str(instant) for instant, times in covered.items() if times > 1]
    assert not doubled, f"doubled: {doubled}"
    single = {row["scheduled_for"] for row in mine if row["missed_count"] is None}
    for period in job.periods:
        instants = [each for of, each in due if of is period]
        missed = [each for each in instants if not covered[each]]
        if period.max_runs is not None and len(single.intersection(instants)) >= period.max_runs:
            last = max((each for each in instants if covered[each]), default=period.began)
            missed = [each for each in missed if each < last]
        assert not missed, f"missed: {list(map(str, missed))} of {period} of {job}"
    allowed = {each for period in job.periods for each in period.instants(_end(period, now))}
    strange = [str(row["scheduled_for"]) for row in mine if row["scheduled_for"] not in allowed]
    assert not strange, f"never due: {strange} of {job}"


def _end(period: Period, now: datetime) -> datetime:
    return (period.ended or now) + AHEAD


def _due_of(job: Job, period: Period, now: datetime) -> list[datetime]:
    ends = period.ended
    if ends is None:
        ends = now if job.stopped_at is None else job.stopped_at
        if job.stopped_at is not None and period.began >= job.stopped_at:
            return []
    # What is stopped or replaced at an instant has none at it; a new schedule begins with it.
    is_open = period.ended is None and job.stopped_at is None
    return [each for each in period.instants(ends) if is_open or each < ends]


def _covered(row: Row, job: Job) -> list[datetime]:
    """Return the instants that a row speaks of; a row for many must have counted them right."""
    first, last = row["scheduled_for"], row["missed_until"]
    if row["missed_count"] is None:
        return [first]
    for period in job.periods:
        if period.began <= first and (period.ended is None or last <= period.ended):
            found = [each for each in period.instants(last) if each >= first]
            if len(found) == row["missed_count"]:
                return found
    raise AssertionError(f"miscounted: {dict(row)} of {job}")

"""The account of a load after a fault: each occurrence, its row, and the requests that came."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from acceptance.faults.load import Load, Occurrence
from targets import Received

_ROWS = text("""
    SELECT id, job_id, trigger, status, reason, error, scheduled_for, started_at, finished_at,
           attempt, redeliveries
      FROM executions WHERE workspace_id = :workspace""")

#: What starts later than this was delayed by something.
LATE = timedelta(seconds=2)


@dataclass(frozen=True)
class Account:
    """The fate of a load. All is well if every list but ``repeated`` is empty."""

    expected: int
    missed: Sequence[Occurrence]
    doubled: Sequence[Occurrence]
    unforeseen: Sequence[Any]  # rows at instants that are none of the load's
    stuck: Sequence[Any]  # rows without a fate
    unwell: Sequence[Any]  # rows that ended other than succeeded
    unsent: Sequence[Any]  # succeeded, and the target never heard of them
    unexplained: Sequence[Any]  # requested again though nothing happened to them
    foreign: Sequence[str]  # requests that belong to no row
    repeated: Sequence[float]  # when executions that were requested again were first requested
    redelivered: int
    latest: timedelta  # the longest that an occurrence had to wait for its end
    recovered_at: datetime | None  # when the last delayed occurrence had ended

    def __str__(self) -> str:
        """Return the account as one line of figures."""
        figures = {
            "expected": self.expected,
            "missed": len(self.missed),
            "doubled": len(self.doubled),
            "unforeseen": len(self.unforeseen),
            "stuck": len(self.stuck),
            "unwell": len(self.unwell),
            "unsent": len(self.unsent),
            "unexplained": len(self.unexplained),
            "foreign": len(self.foreign),
            "repeated": len(self.repeated),
            "redelivered": self.redelivered,
            "latest": f"{self.latest.total_seconds():.1f}s",
        }
        return "  ".join(f"{name} {figure}" for name, figure in figures.items())

    def assert_nothing_lost(
        self, *, within: float, repeated: int = 0, requested_before: float = 0.0
    ) -> None:
        """Assert that all ran, once, within so many seconds.

        So many executions may have been ``repeated``, and besides any that were first requested
        before the instant ``requested_before``, in seconds since the epoch.
        """
        print(self)  # noqa: T201 - shown with a failure
        for name in (
            "missed",
            "doubled",
            "unforeseen",
            "stuck",
            "unwell",
            "unsent",
            "unexplained",
            "foreign",
        ):
            found = getattr(self, name)
            assert not found, f"{name}: {len(found)}, as {found[:3]}\n{self}"
        later = [instant for instant in self.repeated if instant >= requested_before]
        assert len(later) <= repeated, str(self)
        assert self.latest <= timedelta(seconds=within), str(self)

    def assert_recovered(self, *, since: datetime, within: float) -> None:
        """Assert that what was delayed had ended so many seconds after the last fault."""
        if self.recovered_at is not None:
            took = (self.recovered_at - since).total_seconds()
            assert took <= within, f"recovered after {took:.1f} s\n{self}"


def account(engine: Engine, load: Load, received: Iterable[Received]) -> Account:
    """Compare what had to happen with the rows in PostgreSQL and what the target saw."""
    with engine.connect() as connection:
        rows = connection.execute(_ROWS, {"workspace": load.workspace.id}).all()
    jobs = {str(job_id) for job_id in load.jobs}
    arrivals: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for each in list(received):
        if each.headers.get("x-chronos-job-id") in jobs:
            arrivals[each.headers["webhook-id"]].append((each.arrived_at, each.connection))
    by_id = {str(row.id): row for row in rows}
    scheduled = [row for row in rows if row.trigger == "schedule"]
    found = Counter(Occurrence(row.job_id, row.scheduled_for) for row in scheduled)
    expected = load.expected()
    again = [identifier for identifier, times in arrivals.items() if len(times) > 1]
    ended = [row for row in rows if row.finished_at is not None]
    late = [row for row in ended if row.finished_at - row.scheduled_for > LATE]
    return Account(
        expected=len(expected),
        missed=sorted(expected - set(found), key=lambda each: each.instant),
        doubled=[each for each, count in found.items() if count > 1],
        unforeseen=[
            row for row in scheduled if Occurrence(row.job_id, row.scheduled_for) not in expected
        ],
        stuck=[row for row in rows if row.finished_at is None],
        unwell=[row for row in ended if row.status != "succeeded"],
        unsent=[row for row in ended if row.status == "succeeded" and str(row.id) not in arrivals],
        unexplained=[
            (arrivals[each], by_id[each])
            for each in again
            if each in by_id and by_id[each].redeliveries == 0 and by_id[each].attempt == 1
        ],
        foreign=[each for each in arrivals if each not in by_id],
        repeated=[min(arrivals[each])[0] for each in again],
        redelivered=sum(row.redeliveries > 0 for row in rows),
        latest=max((row.finished_at - row.scheduled_for for row in ended), default=timedelta(0)),
        recovered_at=max((row.finished_at for row in late), default=None),
    )

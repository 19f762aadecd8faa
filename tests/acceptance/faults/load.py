"""A known load: jobs that are due every second, and every instant at which they must run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

import factories
from chronos_common.domain.retries import RetryPolicy
from factories import Workspace

SECOND = timedelta(seconds=1)

#: Past the scheduler's lookahead, so that the last instants are planned like all others.
_LAST_INSTANTS = timedelta(seconds=1.5)

# Under the row's lock: what a planner has put there already is still to run.
_END = text("""
    UPDATE schedules SET ends_at = GREATEST(next_run_at, clock_timestamp() + :more)
     WHERE workspace_id = :workspace RETURNING job_id, ends_at""")

_UNFINISHED = text("""
    SELECT (SELECT count(*) FROM schedules
             WHERE workspace_id = :workspace AND active AND next_run_at IS NOT NULL)
         + (SELECT count(*) FROM executions
             WHERE workspace_id = :workspace AND finished_at IS NULL)""")


@dataclass(frozen=True)
class Occurrence:
    """One instant of one job."""

    job_id: UUID
    instant: datetime


class Load:
    """Jobs of a workspace of its own, each due every second from ``begins`` on."""

    def __init__(self, engine: Engine, workspace: Workspace, first: dict[UUID, datetime]) -> None:
        self.workspace = workspace
        self.jobs: Sequence[UUID] = list(first)
        self._engine = engine
        self._first = first
        self._ends: dict[UUID, datetime] = {}

    def use(self, engine: Engine) -> None:
        """Reach the database in another way: its address has changed."""
        self._engine = engine

    def end(self) -> None:
        """Let every job have its last instants now."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                _END, {"workspace": self.workspace.id, "more": _LAST_INSTANTS}
            )
            self._ends = {row.job_id: row.ends_at for row in rows}

    def expected(self) -> set[Occurrence]:
        """Return every occurrence that there must be, once the load was ended."""
        return {
            Occurrence(job_id, first + n * SECOND)
            for job_id, first in self._first.items()
            for n in range((self._ends[job_id] - first) // SECOND + 1)
        }

    def is_quiet(self) -> bool:
        """Tell whether nothing is to be planned or performed any more."""
        with self._engine.connect() as connection:
            query = connection.execute(_UNFINISHED, {"workspace": self.workspace.id})
            return query.scalar_one() == 0


def begin(engine: Engine, *, per_second: int, url: str, **changes: Any) -> Load:
    """Store ``per_second`` jobs that call ``url`` every second, spread over the second."""
    plain = {
        "payload": {"url": url, "body": {"n": 1}},
        "notify": (),
        "policy": RetryPolicy(max_attempts=10, retry_delays=(1.0,)),
        "timeout_seconds": 10.0,
        # A slow machine is no misfire.
        "misfire_grace_seconds": 600.0,
    }
    first: dict[UUID, datetime] = {}
    with engine.begin() as connection:
        now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        email = f"{uuid4().hex}@example.com"
        workspace = factories.workspace(connection, now=now, email=email)
        start = (now + 2 * SECOND).replace(microsecond=0)
        for number in range(per_second):
            anchor = start + timedelta(milliseconds=number * 1000 // per_second)
            job_id = factories.job(
                connection,
                workspace,
                factories.every(1, anchor=anchor),
                now=now,
                next_run_at=anchor,
                **plain | changes,
            )
            first[job_id] = anchor
    return Load(engine, workspace, first)

"""The jobs of a trial, put into the tables in bulk.

One job of each crowd is stored as the API would, by ``chronos_common.storage``. The others are
copied from it inside PostgreSQL, so that a million of them take half a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from benchmarks.installation import Installation
from chronos_api.workspaces.service import new_signing_secret
from chronos_common import clock, ids
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.storage.accounts import users
from chronos_common.storage.jobs import insert as new_jobs
from chronos_common.storage.jobs.insert import NewJob
from chronos_common.storage.tables import jobs as jobs_table
from chronos_common.storage.tables import schedules as schedules_table

#: Jobs that are loaded in a second, at least. The first instant must come after the load.
_JOBS_PER_SECOND = 8_000
_JOBS_ANALYZED_PER_SECOND = 150_000
_LEAD = timedelta(seconds=4)

#: Paths below this one answer late.
HANGING = "/after/"

_EVERY_SECOND = "* * * * * *"


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Jobs that differ in nothing but their ids and their instants.

    They are due every second, all at the same instant, or over ``spread`` seconds one after the
    other. With ``once`` there is only one instant. ``idle`` ones are due in a year.
    """

    count: int
    path: str = "/ok"
    hosts: Sequence[str] = ("127.0.0.1",)
    spread: float = 0.0
    once: bool = False
    idle: bool = False
    retry_delay_seconds: float = 60.0
    #: None is the workspace of the installation's owner.
    workspace_id: UUID | None = None

    def occurrences(self, seconds: int) -> int:
        """Return how many occurrences the jobs have in so many seconds from the first one."""
        if self.idle:
            return 0
        return self.count if self.once else self.count * seconds

    @property
    def hangs(self) -> bool:
        """Whether the target takes long on purpose."""
        return self.path.startswith(HANGING)


def first_instant(installation: Installation, crowds: Sequence[Crowd]) -> datetime:
    """Return the whole second at which jobs that are loaded now can be due first."""
    with installation.engine.connect() as connection:
        there = connection.execute(_ESTIMATE).scalar_one()
    seconds = sum(crowd.count for crowd in crowds) / _JOBS_PER_SECOND
    seconds += max(there, 0) / _JOBS_ANALYZED_PER_SECOND
    soonest = clock.now() + _LEAD + timedelta(seconds=seconds)
    return soonest.replace(microsecond=0) + timedelta(seconds=1)


_ESTIMATE = text("SELECT reltuples FROM pg_class WHERE oid = 'jobs'::regclass")


def insert(
    installation: Installation, crowds: Sequence[Crowd], *, first: datetime, last: datetime
) -> None:
    """Store the jobs of the crowds, due from ``first`` to ``last``, and analyse the tables."""
    with installation.engine.connect() as connection:
        for crowd in crowds:
            share, rest = divmod(crowd.count, len(crowd.hosts))
            for index, host in enumerate(crowd.hosts):
                url = installation.target.url(crowd.path, host=host)
                count = share + (index < rest)
                definition = _definition(crowd, url, first=first, last=last)
                _insert_alike(connection, installation, crowd, definition, count)
        connection.execute(text("VACUUM ANALYZE jobs, schedules"))


def add_workspace(installation: Installation) -> UUID:
    """Store another workspace, and return its id."""
    workspace_id = ids.new_id(clock.now())
    with installation.engine.connect() as connection:
        users.insert_workspace(
            connection,
            workspace_id,
            name="Benchmark",
            signing_secret=new_signing_secret(),
            now=clock.now(),
        )
    return workspace_id


def jobs_of_others(installation: Installation) -> set[str]:
    """Return the ids of the jobs outside the workspace of the installation's owner."""
    with installation.engine.connect() as connection:
        values = {"id": installation.workspace_id}
        return set(connection.execute(_JOBS_OF_OTHERS, values).scalars())


_JOBS_OF_OTHERS = text("SELECT id::text FROM jobs WHERE workspace_id <> :id")


def hanging_jobs(installation: Installation) -> list[str]:
    """Return the ids of the jobs whose target takes long on purpose."""
    with installation.engine.connect() as connection:
        return list(connection.execute(_HANGING_JOBS, {"path": f"%{HANGING}%"}).scalars())


_HANGING_JOBS = text("SELECT id::text FROM jobs WHERE payload->>'url' LIKE :path")


def _insert_alike(
    connection: Connection,
    installation: Installation,
    crowd: Crowd,
    definition: JobDefinition,
    count: int,
) -> None:
    """Store ``count`` jobs: the first by the storage modules, the others as its copies."""
    if count == 0:
        return
    now = clock.now()
    template = ids.new_id(now)
    due = definition.schedule.first_at_or_after(now)
    if definition.schedule.kind is ScheduleKind.CRON:
        due = definition.schedule.starts_at
    new_jobs.insert_one(
        connection,
        NewJob(template, definition, due),
        workspace_id=crowd.workspace_id or installation.workspace_id,
        created_by=installation.owner_id,
        now=now,
    )
    # The copies have the references of their template, so these need no check.
    connection.execute(text("SET session_replication_role = replica"))
    connection.execute(
        _COPY, {"template": template, "copies": count - 1, "step": crowd.spread / crowd.count}
    )
    connection.execute(text("SET session_replication_role = origin"))


def _definition(crowd: Crowd, url: str, *, first: datetime, last: datetime) -> JobDefinition:
    return JobDefinition(
        name="Benchmark",
        payload={"url": url, "method": "POST", "body": {"message": "It is time."}},
        tags=("benchmark",),
        policy=RetryPolicy(max_attempts=4, retry_delays=(crowd.retry_delay_seconds,)),
        schedule=_schedule(crowd, first=first, last=last),
        # What is late is to be seen as late, not to be skipped.
        misfire_grace_seconds=86_400,
    )


def _schedule(crowd: Crowd, *, first: datetime, last: datetime) -> Schedule:
    if crowd.idle:
        a_year_away = first + timedelta(days=365)
        return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=86_400, anchor=a_year_away)
    if crowd.once:
        return Schedule(kind=ScheduleKind.ONCE, anchor=first)
    if crowd.spread:
        return Schedule(kind=ScheduleKind.INTERVAL, interval_seconds=1, anchor=first, ends_at=last)
    return Schedule(
        kind=ScheduleKind.CRON, expression=_EVERY_SECOND, starts_at=first, ends_at=last
    )


_JOB_COLUMNS = ", ".join(c.name for c in jobs_table.c if c.name != "id")
_SCHEDULE_COLUMNS = ", ".join(
    c.name for c in schedules_table.c if c.name not in {"job_id", "anchor", "next_run_at"}
)
# uuidv7() of PostgreSQL 18 makes ids in the order of time, as the API does.
_COPY = text(f"""
    WITH copy AS MATERIALIZED (
        SELECT uuidv7() AS id, number * CAST(:step AS float) * interval '1 second' AS shift
          FROM generate_series(1, :copies) AS number),
    copied AS (
        INSERT INTO jobs (id, {_JOB_COLUMNS})
        SELECT copy.id, {_JOB_COLUMNS} FROM copy, (SELECT {_JOB_COLUMNS} FROM jobs
                                                    WHERE id = :template) AS template)
    INSERT INTO schedules (job_id, anchor, next_run_at, {_SCHEDULE_COLUMNS})
    SELECT copy.id, date_trunc('milliseconds', anchor + shift),
           date_trunc('milliseconds', next_run_at + shift), {_SCHEDULE_COLUMNS}
      FROM copy, (SELECT * FROM schedules WHERE job_id = :template) AS template""")  # noqa: S608 - names of our own columns

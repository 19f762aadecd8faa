"""The statements on ``schedules``: the narrow rows with the next run of each job."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, Row, select, text, update

from chronos_common.domain.cron.dates import DayMatch
from chronos_common.domain.jobs import JobDefinition
from chronos_common.domain.schedules.misfires import MisfirePolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind, jitter_of
from chronos_common.domain.timezones import files
from chronos_common.storage.jobs import columns
from chronos_common.storage.jobs.columns import INSTANTS_SQL
from chronos_common.storage.postgres import array_adapter
from chronos_common.storage.postgres.prepared_statements import prepared
from chronos_common.storage.tables import schedules


class Due(NamedTuple):
    """A schedule that is due at ``next_run_at``. The transaction holds its lock."""

    job_id: UUID
    workspace_id: UUID
    action_type: str
    schedule: Schedule
    next_run_at: datetime
    runs_left: int | None
    misfire_policy: MisfirePolicy
    misfire_grace: timedelta
    resumed_at: datetime | None
    zone_rules: int | None
    shadow: bool


class Broken(NamedTuple):
    """A schedule that is due and cannot be read. The transaction holds its lock."""

    job_id: UUID
    workspace_id: UUID
    action_type: str
    next_run_at: datetime


class Advance(NamedTuple):
    """The next run of a planned schedule. It is exhausted if ``next_run_at`` is None."""

    job_id: UUID
    next_run_at: datetime | None
    runs_left: int | None


_NEXT_DUE = prepared(text("SELECT min(next_run_at) FROM schedules WHERE active"))


def next_due(connection: Connection) -> datetime | None:
    """Return the earliest next run of all schedules, which may be overdue, or None."""
    return cast("datetime | None", connection.execute(_NEXT_DUE).scalar_one())


_DUE = f"""job_id, workspace_id, job_type, runs_left, misfire_policy, misfire_grace_seconds,
           resumed_at, next_run_at, zone_rules, shadow, {INSTANTS_SQL}"""

# SKIP LOCKED lets any number of schedulers share the work without waiting for each other.
_CLAIM_DUE = text(f"""
    SELECT {_DUE}
      FROM schedules s
     WHERE active AND next_run_at > :since AND next_run_at <= :horizon
     ORDER BY next_run_at LIMIT :batch
       FOR UPDATE SKIP LOCKED""")  # noqa: S608 - names of our own columns

# One probe of an index for each workspace. Comparing rows, and not the columns one by one, leaves
# the planner no other index to choose. The workspaces come in order, and LIMIT ends the search.
_CLAIM_IN_TURN = text(f"""
    WITH turns AS MATERIALIZED (SELECT id FROM workspaces WHERE id > :after ORDER BY id)
    SELECT due.* FROM turns CROSS JOIN LATERAL (
        SELECT {_DUE}
          FROM schedules s
         WHERE active AND next_run_at IS NOT NULL
           AND (workspace_id, next_run_at) > (turns.id, CAST(:since AS timestamptz))
           AND (workspace_id, next_run_at) <= (turns.id, CAST(:horizon AS timestamptz))
         ORDER BY workspace_id, next_run_at LIMIT :share
           FOR UPDATE SKIP LOCKED) AS due
     LIMIT :batch""")  # noqa: S608 - names of our own columns


def claim_due(
    connection: Connection, *, since: datetime, horizon: datetime, batch: int
) -> list[Due | Broken]:
    """Lock up to ``batch`` schedules due in (``since``, ``horizon``], the earliest first."""
    rows = connection.execute(_CLAIM_DUE, {"since": since, "horizon": horizon, "batch": batch})
    return [_due(*row) for row in rows]


def claim_in_turn(
    connection: Connection,
    *,
    since: datetime,
    horizon: datetime,
    after: UUID,
    share: int,
    batch: int,
) -> list[Due | Broken]:
    """Lock the earliest schedules of each workspace, at most ``share``, and ``batch`` in all.

    The workspaces come in the order of their ids, from the one that follows ``after``.
    """
    bounds = {"since": since, "horizon": horizon, "after": after, "share": share, "batch": batch}
    return [_due(*row) for row in connection.execute(_CLAIM_IN_TURN, bounds)]


def _due(
    job_id: UUID,
    workspace_id: UUID,
    action_type: str,
    runs_left: int | None,
    misfire_policy: str,
    misfire_grace_seconds: float,
    resumed_at: datetime | None,
    next_run_at: datetime,
    zone_rules: int | None,
    shadow: bool,  # noqa: FBT001 - a column, in its place
    *instants: Any,
) -> Due | Broken:
    try:
        return Due(
            job_id,
            workspace_id,
            action_type,
            _schedule(*instants[:-1], jitter_of(job_id, instants[-1])),
            next_run_at,
            runs_left,
            MisfirePolicy(misfire_policy),
            timedelta(seconds=misfire_grace_seconds),
            resumed_at,
            zone_rules,
            shadow,
        )
    except (ArithmeticError, ValueError):
        return Broken(job_id, workspace_id, action_type, next_run_at)


def schedule_of(job_id: UUID, row: Mapping[Any, Any]) -> Schedule:
    """Return the job's schedule from a row with the columns of :data:`INSTANTS_SQL`."""
    return _schedule(*_instants(row), jitter_of(job_id, row["jitter_seconds"]))


_instants = itemgetter(*columns.INSTANTS)


def find(connection: Connection, job_id: UUID) -> Schedule | None:
    """Return the job's schedule, or None if there is none that can be read."""
    query = select(schedules).where(schedules.c.job_id == job_id)
    row = connection.execute(query).mappings().one_or_none()
    try:
        return schedule_of(job_id, row) if row else None
    except (ArithmeticError, ValueError):
        return None


_FIELDS = (*columns.INSTANTS[1:], "jitter")


@lru_cache(maxsize=16_384)
def _schedule(kind: str, *instants: Any) -> Schedule:
    """Return the schedule of these columns, which many jobs share and which never changes."""
    fields = dict(zip(_FIELDS, instants, strict=True))
    day_match = DayMatch(fields.pop("day_match"))
    return Schedule(ScheduleKind(kind), day_match=day_match, **fields)


_ADVANCE = text("""
    UPDATE schedules s SET next_run_at = a.next_run_at, runs_left = a.runs_left
      FROM unnest(CAST(:job_id AS uuid[]), CAST(:next_run_at AS timestamptz[]),
                  CAST(:runs_left AS integer[])) AS a (job_id, next_run_at, runs_left)
     WHERE s.job_id = a.job_id""")


def advance(connection: Connection, advances: Sequence[Advance]) -> None:
    """Store the next runs of planned schedules."""
    if advances:
        connection.execute(_ADVANCE, array_adapter.columns(advances))


def replace(
    connection: Connection,
    job_id: UUID,
    definition: JobDefinition,
    *,
    next_run_at: datetime | None,
    runs_left: int | None,
    active: bool,
    resumed_at: datetime | None,
    zone_rules: int | None,
) -> None:
    """Store a changed schedule. ``resumed_at`` stays the same if the instants do.

    ``zone_rules`` is the mark of the rules that ``next_run_at`` was computed with.
    """
    connection.execute(
        update(schedules)
        .where(schedules.c.job_id == job_id)
        .values(
            active=active,
            next_run_at=next_run_at,
            runs_left=runs_left,
            resumed_at=resumed_at,
            zone_rules=zone_rules,
            **columns.of_schedule(definition),
        )
    )


def zone_rules_of(schedule: Schedule) -> int | None:
    """Return the mark of the zone's current rules. None if the schedule needs no zone."""
    return files.mark(schedule.timezone) if schedule.kind is ScheduleKind.CRON else None


def restart(
    connection: Connection,
    job_id: UUID,
    *,
    next_run_at: datetime | None,
    zone_rules: int | None,
) -> None:
    """Store the next run of a locked schedule by the rules that ``zone_rules`` marks."""
    connection.execute(
        update(schedules)
        .where(schedules.c.job_id == job_id)
        .values(next_run_at=next_run_at, zone_rules=zone_rules)
    )


_LOCK = text("""
    SELECT job_id FROM schedules WHERE job_id = ANY(CAST(:ids AS uuid[]))
     ORDER BY job_id FOR UPDATE""")


def lock(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Wait for schedulers that plan these jobs, and keep others from planning them."""
    connection.execute(_LOCK, {"ids": list(job_ids)})


_DEACTIVATE = text("""
    UPDATE schedules SET active = false WHERE job_id = ANY(CAST(:ids AS uuid[]))""")


def deactivate(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Plan jobs, whose schedules are locked, no more. The caller cancels planned executions."""
    connection.execute(_DEACTIVATE, {"ids": list(job_ids)})


_ACTIVATE = text("""
    UPDATE schedules SET active = true, resumed_at = :resumed_at
     WHERE job_id = ANY(CAST(:ids AS uuid[]))""")


def activate(connection: Connection, job_ids: Sequence[UUID], *, resumed_at: datetime) -> None:
    """Plan jobs, whose schedules are locked, again.

    Occurrences before ``resumed_at`` were missed because of the pause.
    """
    connection.execute(_ACTIVATE, {"ids": list(job_ids), "resumed_at": resumed_at})


_OVERDUE = text("""
    SELECT count(*) AS schedules, min(next_run_at) AS oldest FROM schedules
     WHERE active AND next_run_at < :before""")


def overdue(connection: Connection, *, before: datetime) -> tuple[int, datetime | None]:
    """Return the number of active schedules due before ``before``, and the oldest instant."""
    row = connection.execute(_OVERDUE, {"before": before}).one()
    return row.schedules, row.oldest


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFilter:
    """Conditions on the jobs of due schedules. Each one applies if it is set.

    They mean the same as those of a list of jobs.
    """

    type: str | None = None
    tag: str | None = None
    search: str | None = None


# Jobs with the same instants are one row. The offset of a jitter is each job's own. The largest
# groups come first, so that a caller that stops early has counted most jobs.
_DUE_GROUPS = text(f"""
    WITH due AS MATERIALIZED (
        SELECT s.* FROM schedules s
         WHERE s.workspace_id = :workspace_id AND s.active AND s.next_run_at < :until
           AND (CAST(:type AS text) IS NULL OR s.job_type = :type)
           AND (COALESCE(CAST(:tag AS text), :search) IS NULL OR EXISTS (
                SELECT FROM jobs j
                 WHERE j.id = s.job_id
                   AND (CAST(:tag AS text) IS NULL OR :tag = ANY(j.tags))
                   AND (CAST(:search AS text) IS NULL
                        OR strpos(lower(j.name), lower(:search)) > 0
                        OR strpos(lower(j.description), lower(:search)) > 0)))
         ORDER BY s.next_run_at LIMIT :limit)
    SELECT (array_agg(s.job_id))[1:CAST(:named AS integer)] AS job_ids, count(*) AS jobs,
           (SELECT count(*) FROM due) AS looked_at, s.runs_left, s.next_run_at, {INSTANTS_SQL}
      FROM due s
     GROUP BY CASE WHEN s.jitter_seconds > 0 THEN s.job_id END, s.runs_left, s.next_run_at,
              {INSTANTS_SQL}
     ORDER BY jobs DESC, s.next_run_at""")  # noqa: S608 - names of our own columns


def due_groups(
    connection: Connection,
    workspace_id: UUID,
    *,
    until: datetime,
    chosen: DueFilter,
    limit: int,
    named: int,
) -> tuple[Sequence[Row[Any]], int]:
    """Return schedules due before ``until`` in groups, and the number of jobs in them.

    Each group has its number of jobs, and the ids of up to ``named`` of them. At most ``limit``
    jobs are read, those that are due first.
    """
    parameters = {
        "workspace_id": workspace_id,
        "until": until,
        "limit": limit,
        "named": named,
        **asdict(chosen),
    }
    rows = connection.execute(_DUE_GROUPS, parameters).all()
    return rows, rows[0].looked_at if rows else 0


_WAITING = text(f"""
    SELECT job_id, next_run_at, zone_rules, {INSTANTS_SQL} FROM schedules s
     WHERE job_id > :after AND active AND next_run_at > :since
     ORDER BY job_id LIMIT :limit""")  # noqa: S608 - names of our own columns


def waiting(
    connection: Connection, *, after: UUID, since: datetime, limit: int
) -> Sequence[Row[Any]]:
    """Return some active schedules whose next run is after ``since``, by their ids."""
    values = {"after": after, "since": since, "limit": limit}
    return connection.execute(_WAITING, values).all()


class Earlier(NamedTuple):
    """A next run that is earlier than the stored one."""

    job_id: UUID
    stored: datetime
    next_run_at: datetime


_BRING_FORWARD = text("""
    UPDATE schedules s SET next_run_at = m.next_run_at
      FROM unnest(CAST(:job_id AS uuid[]), CAST(:stored AS timestamptz[]),
                  CAST(:next_run_at AS timestamptz[])) AS m (job_id, stored, next_run_at)
     WHERE s.job_id = m.job_id AND s.active AND s.next_run_at = m.stored
 RETURNING s.job_id""")


def bring_forward(connection: Connection, found: Sequence[Earlier]) -> int:
    """Store earlier next runs, unless they changed meanwhile, and return their number."""
    if not found:
        return 0
    return len(connection.execute(_BRING_FORWARD, array_adapter.columns(found)).all())

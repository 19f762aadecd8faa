"""Lock, pause, resume, delete and tag jobs. One job is a list of one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.audit import service as audit
from chronos_api.jobs import holdings, missed, snapshots
from chronos_api.transactions import Transaction
from chronos_common import clock
from chronos_common.domain.jobs import Pause
from chronos_common.domain.statuses import Reason, Status
from chronos_common.errors import JobNotFound, VersionConflict
from chronos_common.quotas import RUNS_PER_DAY
from chronos_common.storage.executions import executions, history
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.jobs import tags as stored_tags

#: The versions that a change may be based on. None allows any.
Versions = frozenset[int] | None

Rows = Sequence[RowMapping]


def lock_one(tx: Transaction, job_id: UUID, expected: Versions) -> RowMapping:
    """Return a job that nobody else changes, plans or deletes until the transaction ends.

    Raises :class:`JobNotFound` and :class:`VersionConflict`.
    """
    rows = jobs.lock(tx.connection, tx.workspace_id, [job_id])
    if not rows:
        raise JobNotFound
    if expected is not None and rows[0]["version"] not in expected:
        raise VersionConflict
    [row] = lock_schedules(tx, rows)
    return row


def lock_schedules(tx: Transaction, rows: Rows) -> Rows:
    """Keep schedulers from planning locked jobs, and return the jobs as they are now."""
    schedules.lock(tx.connection, _ids(rows))
    return jobs.find_many(tx.connection, tx.workspace_id, _ids(rows))


def pause(tx: Transaction, rows: Rows, pause: Pause) -> None:
    """Pause active jobs, which are locked with their schedules."""
    _stop(tx, rows, Reason.PAUSED)
    jobs.pause(tx.connection, _ids(rows), pause, now=tx.now)
    said = _said(pause)
    details = {job_id: name | said for job_id, name in _names(rows).items()}
    tx.audit("job.pause", "job", details)
    tx.give_back({RUNS_PER_DAY: holdings.runs(row for row in rows if row["active"])})


def change_pause(tx: Transaction, rows: Rows, pause: Pause) -> None:
    """Give locked jobs, which are paused, another note and another end of their pause."""
    jobs.pause(tx.connection, _ids(rows), pause, now=tx.now)
    names, after = _names(rows), {"pause_note": pause.note, "paused_until": _written(pause.until)}
    details = {}
    for row in rows:
        before = {"pause_note": row["pause_note"], "paused_until": _written(row["paused_until"])}
        details[row["id"]] = names[row["id"]] | audit.difference(before, after)
    tx.audit("job.update", "job", details)


def _said(pause: Pause) -> dict[str, object]:
    """Return the note and the end of a pause, if it has them, for the audit log."""
    said = {"note": pause.note, "until": _written(pause.until)}
    return {name: value for name, value in said.items() if value is not None}


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else clock.rfc3339(moment)


def resume(tx: Transaction, rows: Rows) -> None:
    """Resume paused jobs, which are locked with their schedules."""
    schedules.activate(tx.connection, _ids(rows), resumed_at=tx.now)
    jobs.activate(tx.connection, _ids(rows), now=tx.now)
    tx.audit("job.resume", "job", _names(rows))
    tx.spend({RUNS_PER_DAY: holdings.runs(rows)})


def delete(tx: Transaction, rows: Rows) -> None:
    """Delete jobs, which are locked with their schedules."""
    _stop(tx, rows, Reason.DELETED)
    jobs.delete(tx.connection, _ids(rows), now=tx.now)
    details = {row["id"]: snapshots.differences(row, None) for row in rows}
    tx.audit("job.delete", "job", details)
    tx.give_back(holdings.of(rows))


def _stop(tx: Transaction, rows: Rows, reason: Reason) -> None:
    """Plan jobs no more, and record their due and planned occurrences as not run."""
    for row in rows:
        missed.record(tx, row, reason=reason)
    schedules.deactivate(tx.connection, _ids(rows))
    tx.moved(history.cancel_unstarted(tx.connection, _ids(rows), reason=reason, now=tx.now))


def drop_planned(tx: Transaction, job_id: UUID) -> None:
    """Skip the occurrences planned ahead of a locked job, which is in shadow from now on."""
    planned = history.planned_ahead(tx.connection, job_id, now=tx.now)
    tx.moved(
        executions.end(
            tx.connection,
            list(planned),
            status=Status.SKIPPED,
            reason=Reason.SHADOW,
            now=tx.now,
        )
    )


def set_tags(tx: Transaction, rows: Rows, tags: Mapping[UUID, Sequence[str]]) -> None:
    """Replace the tags of locked jobs. ``tags`` is by the job's id."""
    stored_tags.replace(tx.connection, tags, now=tx.now)
    names = _names(rows)
    details = {
        row["id"]: names[row["id"]]
        | audit.difference({"tags": row["tags"]}, {"tags": tags[row["id"]]})
        for row in rows
    }
    tx.audit("job.update", "job", details)


def _ids(rows: Rows) -> list[UUID]:
    return [row["id"] for row in rows]


def _names(rows: Rows) -> dict[UUID, dict[str, object]]:
    return {row["id"]: {"name": row["name"]} for row in rows}

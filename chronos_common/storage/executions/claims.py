"""The statements with which a worker claims executions, keeps them and gives them back.

The claim is a compare-and-set: of several workers that claim an execution, one gets it. The row of
a running execution, with its worker's heartbeat, is the worker's lease. ``executions.record`` ends
it, and ``rescue`` ends those of lost workers.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.executions import Claimed, Extras
from chronos_common.storage.jobs.specs import parsed
from chronos_common.storage.postgres import uuid_adapter

_CLAIM = text("""
    UPDATE executions
       SET status = 'running', worker_id = :worker_id, claimed_at = :now,
           started_at = COALESCE(started_at, GREATEST(:now, due_at))
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued'
       AND queue = :queue AND job_id = ANY(CAST(:jobs AS uuid[]))
 RETURNING id, job_id, CAST(workspace_id AS text), scheduled_for, NULLIF(due_at, scheduled_for),
           attempt, redeliveries,
           CASE WHEN payload IS NOT NULL OR replay_id IS NOT NULL THEN CAST(json_build_object(
               'payload', CAST(payload AS text), 'logical_for', logical_for,
               'replay_of', CASE WHEN replay_id IS NOT NULL THEN retry_of END) AS text) END""")


def claim(
    connection: Connection,
    identifiers: Sequence[UUID],
    *,
    worker_id: UUID,
    now: datetime,
    queue: str,
    job_ids: Sequence[UUID],
) -> list[Claimed]:
    """Claim queued executions of ``queue`` and ``job_ids`` for ``worker_id``.

    Executions that were paused, cancelled or claimed by another worker are left out.
    """
    if not identifiers:
        return []
    rows = connection.execute(
        _CLAIM,
        {
            "ids": list(identifiers),
            "worker_id": worker_id,
            "now": now,
            "queue": queue,
            "jobs": list(job_ids),
        },
    )
    return [
        Claimed(
            each,
            job,
            uuid_adapter.shared(workspace),
            worker_id,
            now,
            at,
            due or at,
            attempt,
            redeliveries,
            extras and _extras(extras),
        )
        for each, job, workspace, at, due, attempt, redeliveries, extras in rows
    ]


def _extras(written: str) -> Extras:
    found = json.loads(written)
    payload, at, source = found["payload"], found["logical_for"], found["replay_of"]
    return Extras(
        payload=None if payload is None else parsed(payload),
        has_payload=payload is not None,
        logical_for=None if at is None else datetime.fromisoformat(at),
        replay_of=None if source is None else UUID(source),
    )


_GIVE_BACK = text("""
    UPDATE executions
       SET status = 'queued', worker_id = NULL, dispatched_at = NULL,
           started_at = CASE WHEN :have_left OR attempt > 1 OR redeliveries > 0
                             THEN started_at END
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' AND worker_id = :worker_id
       AND claimed_at = :claimed_at
 RETURNING id""")


def give_back(
    connection: Connection,
    identifiers: Sequence[UUID],
    *,
    worker_id: UUID,
    claimed_at: datetime,
    have_left: bool = False,
) -> int:
    """Queue executions that a worker claimed then and did not finish, and return their number.

    An execution that was not tried before has not started, unless its request may have left.
    Doing this twice is harmless: a later claim does not match, even one by the same worker.
    """
    if not identifiers:
        return 0
    parameters = {
        "ids": list(identifiers),
        "worker_id": worker_id,
        "claimed_at": claimed_at,
        "have_left": have_left,
    }
    return len(connection.execute(_GIVE_BACK, parameters).all())


_POSTPONE = text("""
    UPDATE executions e
       SET status = 'queued', worker_id = NULL, dispatched_at = NULL, due_at = :due_at,
           started_at = CASE WHEN e.attempt > 1 OR e.redeliveries > 0 THEN e.started_at END
      FROM unnest(CAST(:ids AS uuid[]), CAST(:workers AS uuid[]), CAST(:claimed AS timestamptz[]))
           AS c (id, worker_id, claimed_at)
     WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.id = c.id AND e.status = 'running'
       AND e.worker_id = c.worker_id AND e.claimed_at = c.claimed_at""")


def postpone(connection: Connection, claimed: Sequence[Claimed], *, due_at: datetime) -> None:
    """Queue executions for ``due_at`` that their worker did not start, if it still holds them."""
    if not claimed:
        return
    connection.execute(
        _POSTPONE,
        {
            "ids": [each.id for each in claimed],
            "workers": [each.worker_id for each in claimed],
            "claimed": [each.claimed_at for each in claimed],
            "due_at": due_at,
        },
    )


_STILL_HELD = text("""
    SELECT id FROM executions
     WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'running' AND worker_id = :worker_id""")


def still_held(
    connection: Connection, identifiers: Sequence[UUID], *, worker_id: UUID
) -> set[UUID]:
    """Return the executions that this worker still holds."""
    if not identifiers:
        return set()
    rows = connection.execute(_STILL_HELD, {"ids": list(identifiers), "worker_id": worker_id})
    return set(rows.scalars())


_STILL_WANTED = text("""
    SELECT e.id FROM executions e JOIN jobs j ON j.id = e.job_id
     WHERE e.id = ANY(CAST(:ids AS uuid[])) AND e.status = 'running' AND e.worker_id = :worker_id
       AND j.status <> 'cancelled' AND (j.status <> 'paused' OR e.trigger <> 'schedule')""")


def still_wanted(
    connection: Connection, identifiers: Sequence[UUID], *, worker_id: UUID
) -> set[UUID]:
    """Return the executions that this worker still holds and whose job was not stopped."""
    if not identifiers:
        return set()
    rows = connection.execute(_STILL_WANTED, {"ids": list(identifiers), "worker_id": worker_id})
    return set(rows.scalars())

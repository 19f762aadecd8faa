"""Redeliver: take executions from a worker that will not finish them, within bounds."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from chronos_common.domain.executions import Moved
from chronos_common.domain.outcomes import Finish, Lost, Redeliver, next_step
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage import consequences
from chronos_common.storage.executions import executions, rescue
from chronos_common.storage.executions.rescue import Held


def redeliver(connection: Connection, held: Sequence[Held], *, now: datetime) -> None:
    """Queue ``held`` again, which the caller has locked. Those handed out too often fail."""
    steps = [(each, _step(each)) for each in held]
    rescue.redeliver(connection, [each.id for each, step in steps if isinstance(step, Redeliver)])
    failed: list[Moved] = []
    for each, step in steps:
        if isinstance(step, Finish):
            failed += executions.end(
                connection,
                [each.id],
                status=Status.FAILED,
                reason=Reason.WORKER_LOST,
                error=step.error,
                now=now,
            )
    consequences.write(connection, failed, now=now)


def _step(held: Held) -> Finish | Redeliver:
    step = next_step(
        Lost(),
        attempt=held.attempt,
        redeliveries=held.redeliveries,
        policy=RetryPolicy(),
        jitter=0.0,
    )
    if isinstance(step, Finish | Redeliver):
        return step
    raise AssertionError("a lost worker costs no attempt")

"""A worker frozen by SIGSTOP longer than it may be silent, and thawed."""

import signal
from datetime import timedelta

import pytest
from sqlalchemy import text

from acceptance.faults.stage import Stage
from targets import after

pytestmark = pytest.mark.xdist_group("faults-redis")

#: Longer than ANSWER_SECONDS, so that the frozen worker has requests on their way.
SLOW_SECONDS = 1.0

_DECIDED = text("""
    SELECT id, status, attempt, redeliveries, worker_id, finished_at, attempts::text
      FROM executions WHERE workspace_id = :workspace AND finished_at < :at""")


def test_a_worker_that_was_frozen_changes_nothing_that_was_decided_meanwhile(
    shared_stage: Stage,
) -> None:
    """Proves the fencing token (worker, attempt, redeliveries) and the lease before each start.

    Fails without ``e.worker_id = m.worker_id`` and its like in ``_RECORD`` (rows change after
    their end), or without ``Webhooks._may_start`` (more requests are repeated).
    """
    stage = shared_stage
    load = stage.begin(per_second=150)
    stage.target.answer = after(SLOW_SECONDS)
    stage.wait(2)
    worker = stage.fleet.of("worker")[0]
    worker.signal(signal.SIGSTOP)
    stage.wait(12)
    with stage.engine.connect() as connection:
        at = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        query = {"workspace": load.workspace.id, "at": at - timedelta(seconds=0.1)}
        decided = set(connection.execute(_DECIDED, query).all())
    worker.signal(signal.SIGCONT)
    stage.wait(5)
    with stage.engine.connect() as connection:
        assert set(connection.execute(_DECIDED, query).all()) == decided
    stage.target.answer = after(0.05)
    stage.recover()
    # What it held goes elsewhere: what was on its way at that moment, and one batch.
    stage.end(load).assert_nothing_lost(within=30, repeated=600)

"""Ten thousand retries that are due at one instant."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

import factories
from acceptance.faults.stage import Stage
from chronos_common import clock, ids
from chronos_common.domain import queues
from chronos_common.storage.executions import executions
from chronos_common.storage.executions.executions import Planned
from targets import reply

pytestmark = pytest.mark.xdist_group("faults-poison")

RETRIES = 10_000
MILLISECOND = timedelta(milliseconds=1)


def test_ten_thousand_retries_at_one_instant_run_once_each_and_starve_nobody(
    shared_stage: Stage,
) -> None:
    """Proves back-pressure: what the queues do not take waits in PostgreSQL, what is due first.

    Fails without the claim's compare-and-set (repeated), or if overdue executions did not share
    messages (everybody else waits for minutes).
    """
    stage = shared_stage
    stage.target.answer = reply()
    load = stage.begin(per_second=50)
    job_id = str(_store_retries(stage))
    stage.until(lambda: not _unfinished(stage.engine, job_id), within=90)
    account = stage.end(load)
    account.assert_nothing_lost(within=30)
    asked = Counter(
        each.headers["webhook-id"]
        for each in stage.target.received
        if each.headers["x-chronos-job-id"] == job_id
    )
    assert len(asked) == RETRIES
    assert set(asked.values()) == {1}


def _store_retries(stage: Stage) -> object:
    """Store executions that failed once and are all due again in a moment."""
    now = clock.now()
    first = now - RETRIES * MILLISECOND
    with stage.engine.begin() as connection:
        owner = factories.workspace(connection, now=now, email="burst@example.com")
        job_id = factories.job(
            connection,
            owner,
            factories.every(86_400, anchor=first),
            now=now,
            payload={"url": stage.target.url},
            notify=(),
        )
        executions.add(
            connection,
            [
                Planned(
                    id=ids.occurrence_id(job_id, first + number * MILLISECOND),
                    workspace_id=owner.id,
                    job_id=job_id,
                    queue=queues.WEBHOOKS,
                    scheduled_for=first + number * MILLISECOND,
                    dispatched_at=None,
                )
                for number in range(RETRIES)
            ],
        )
        connection.execute(
            text(
                "UPDATE executions SET status = 'retrying', attempt = 2, due_at = :at"
                " WHERE job_id = :job"
            ),
            {"job": job_id, "at": now + timedelta(seconds=5)},
        )
    return job_id


def _unfinished(engine: Engine, job_id: str) -> int:
    query = text("SELECT count(*) FROM executions WHERE job_id = :job AND status <> 'succeeded'")
    with engine.connect() as connection:
        return int(connection.execute(query, {"job": job_id}).scalar_one())

"""Running an execution again: at most one retry of it is under way."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update

from chronos_common.domain.statuses import Status
from chronos_common.storage.tables import executions, jobs
from integration.api.callers import Caller
from integration.api.executions.test_executions import WORKER, attempted
from integration.api.rows import in_seconds, plan, waiting_for_locks
from rigs import wait_until


@pytest.fixture
def job_id(caller: Caller) -> str:
    return str(caller.create(name="Report")["id"])


def test_an_execution_is_not_run_again_while_a_retry_of_it_is_under_way(
    caller: Caller, db: Engine, job_id: str
) -> None:
    failed, other = failed_execution(db, caller, job_id), failed_execution(db, caller, job_id, 1)
    first = caller.post(f"executions/{failed}/retry").json["id"]
    for status in (Status.QUEUED, Status.RUNNING, Status.RETRYING):
        with db.begin() as connection:
            connection.execute(
                update(executions)
                .where(executions.c.id == first)
                .values(status=status, worker_id=WORKER, claimed_at=in_seconds(0))
            )
        refused = caller.post(f"executions/{failed}/retry")
        assert refused.status_code == 409
        assert first in refused.json["detail"]
        assert f"still {status}" in refused.json["detail"]
    # Another execution of the job is another matter.
    assert caller.post(f"executions/{other}/retry").status_code == 202
    assert caller.post(f"executions/{first}/cancel").status_code == 200
    again = caller.post(f"executions/{failed}/retry")
    assert again.status_code == 202
    assert again.json["retry_of"] == str(failed)


def test_retries_that_are_asked_for_at_one_moment_are_one_retry(
    caller: Caller, db: Engine, job_id: str
) -> None:
    failed = failed_execution(db, caller, job_id)
    at_once = 2
    with ThreadPoolExecutor(at_once) as threads, db.begin() as connection:
        # While somebody holds the job, both requests are past every look that needs no lock.
        connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update())
        path = f"executions/{failed}/retry"
        asked = [threads.submit(caller.post, path) for _ in range(at_once)]
        wait_until(lambda: waiting_for_locks(db) == at_once, within=30)
        connection.rollback()
        answers = sorted((each.result() for each in asked), key=lambda each: each.status_code)
    assert [each.status_code for each in answers] == [202, 409]
    assert answers[0].json["id"] in answers[1].json["detail"]
    with db.connect() as connection:
        retries = connection.execute(select(executions).where(executions.c.retry_of == failed))
        assert len(retries.all()) == 1


def failed_execution(db: Engine, caller: Caller, job_id: str, seconds: float = 0) -> UUID:
    (execution_id,) = plan(db, caller, job_id, [in_seconds(seconds)])
    attempted(db, execution_id, Status.FAILED, started=1, http_status=500, error="x")
    return execution_id

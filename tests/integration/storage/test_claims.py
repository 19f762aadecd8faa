"""What a worker learns with a claim beside the job, and says with an attempt."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import clock, ids
from chronos_common.domain.executions import Claimed, Extras
from chronos_common.errors import Invalid
from chronos_common.storage.executions import history
from chronos_common.storage.jobs.specs import Specs
from chronos_worker.attempts import unperformed
from chronos_worker.recorder import Recorder
from factories import StoreJob, Workspace

SECOND = timedelta(seconds=1)


@pytest.fixture
def recorder(engine: Engine) -> Iterator[Recorder]:
    recorder = Recorder(engine)
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture
def job_id(a_job: StoreJob) -> UUID:
    return a_job()


def _queue(engine: Engine, workspace: Workspace, job_id: UUID, count: int = 1) -> list[UUID]:
    names = {"workspace_id": workspace.id, "job_id": job_id, "queue": "webhooks"}
    with engine.begin() as connection:
        return [
            factories.trigger(connection, **names, now=clock.now())  # type: ignore[arg-type]
            for _ in range(count)
        ]


def _claim(engine: Engine, queued: list[UUID]) -> list[Claimed]:
    with engine.begin() as connection:
        return factories.claim(connection, queued, worker_id=UUID(int=1), now=clock.now())


def test_a_claim_brings_what_differs_from_the_job(
    engine: Engine, workspace: Workspace, job_id: UUID, now: datetime
) -> None:
    plain, edited, replayed = _queue(engine, workspace, job_id, 3)
    before, source = now - 60 * SECOND, ids.new_id(now)
    with engine.begin() as connection:
        payload = {"url": "https://example.com/", "body": {"b": 1, "a": 10**30}}
        history.edit(connection, [edited], payload=payload, note=None, due_at=now)
        connection.execute(
            text(
                "UPDATE executions SET replay_id = :source, retry_of = :source,"
                " logical_for = :before WHERE id = :id"
            ),
            {"source": source, "before": before, "id": replayed},
        )
        job = Specs().of(connection, [plain])[job_id]
    found = {each.id: each for each in _claim(engine, [plain, edited, replayed])}
    assert found[plain].extras is None
    assert found[plain].edited(job) is job
    assert found[edited].edited(job).payload == payload
    assert found[edited].stands_for == now
    assert found[replayed].extras == Extras(logical_for=before, replay_of=source)
    assert found[replayed].edited(job) is job
    assert found[replayed].stands_for == before


def test_an_attempt_names_the_version_of_the_job_that_it_performed(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    queued = _queue(engine, workspace, job_id)
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET version = 7"))
        job = Specs().of(connection, queued)[job_id]
    [claimed] = _claim(engine, queued)
    performed = unperformed(claimed, job, Invalid({"url": ["Wrong."]}))
    recorder.put(performed)
    assert recorder.flush(10)
    [row] = factories.executions_of(engine, job_id)
    assert [attempt["job_version"] for attempt in row["attempts"]] == [7]

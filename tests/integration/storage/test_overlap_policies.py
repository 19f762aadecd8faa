"""Overlap policies, where they are decided: at the claim."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import clock, ids
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage.executions import executions
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.jobs.specs import Specs
from chronos_worker.claim import Claimer
from factories import Workspace

SECOND = timedelta(seconds=1)


@pytest.fixture
def claimer(engine: Engine) -> Iterator[Claimer]:
    heartbeat = Heartbeat(engine, kind="worker", timeout=15 * SECOND)
    heartbeat.start()
    yield Claimer(engine, heartbeat)
    heartbeat.stop()


def _job(engine: Engine, workspace: Workspace, policy: OverlapPolicy, now: datetime) -> UUID:
    with engine.begin() as connection:
        return factories.job(
            connection,
            workspace,
            factories.every(60, anchor=now),
            now=now,
            overlap_policy=policy,
        )


def _due(engine: Engine, workspace: Workspace, job_id: UUID, *instants: datetime) -> list[UUID]:
    planned = [
        Planned(ids.occurrence_id(job_id, at), workspace.id, job_id, "webhooks", at, clock.now())
        for at in instants
    ]
    with engine.begin() as connection:
        executions.add(connection, planned)
    return [each.id for each in planned]


def _claim(engine: Engine, claimer: Claimer, identifiers: list[UUID]) -> list[UUID]:
    with engine.begin() as connection:
        specs = Specs().of(connection, identifiers)
    return [each.id for each in claimer.claim(identifiers, specs, queue="webhooks")]


def _statuses(engine: Engine, job_id: UUID) -> list[tuple[str, str | None]]:
    return [(row["status"], row["reason"]) for row in factories.executions_of(engine, job_id)]


def test_allow_starts_them_all(
    engine: Engine, workspace: Workspace, claimer: Claimer, now: datetime
) -> None:
    job_id = _job(engine, workspace, OverlapPolicy.ALLOW, now)
    due = _due(engine, workspace, job_id, now, now + SECOND)
    assert sorted(_claim(engine, claimer, due)) == due


def test_skip_lets_one_run_and_says_why_the_other_did_not(
    engine: Engine, workspace: Workspace, claimer: Claimer, now: datetime
) -> None:
    job_id = _job(engine, workspace, OverlapPolicy.SKIP, now)
    due = _due(engine, workspace, job_id, now, now + SECOND)
    assert _claim(engine, claimer, due) == due[:1]
    assert _statuses(engine, job_id) == [("running", None), ("skipped", "overlap")]


def test_queue_one_lets_one_wait_and_runs_it_afterwards(
    engine: Engine, workspace: Workspace, claimer: Claimer, now: datetime
) -> None:
    job_id = _job(engine, workspace, OverlapPolicy.QUEUE_ONE, now)
    due = _due(engine, workspace, job_id, now, now + SECOND, now + 2 * SECOND)
    assert _claim(engine, claimer, due) == due[:1]
    assert _statuses(engine, job_id) == [
        ("running", None),
        ("queued", None),
        ("skipped", "overlap"),
    ]
    waiting = factories.executions_of(engine, job_id)[1]
    assert waiting["dispatched_at"] is None
    assert waiting["due_at"] > now
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET status = 'succeeded', finished_at = now() WHERE id = :id"),
            {"id": due[0]},
        )
    assert _claim(engine, claimer, due[1:2]) == due[1:2]


def test_cancel_running_ends_the_earlier_one_and_starts_the_latest(
    engine: Engine, workspace: Workspace, claimer: Claimer, now: datetime
) -> None:
    job_id = _job(engine, workspace, OverlapPolicy.CANCEL_RUNNING, now)
    due = _due(engine, workspace, job_id, now, now + SECOND)
    assert _claim(engine, claimer, due[:1]) == due[:1]
    assert _claim(engine, claimer, due[1:]) == due[1:]
    assert _statuses(engine, job_id) == [("cancelled", "overlap"), ("running", None)]


def test_a_batch_of_many_jobs_judges_each_by_its_own_policy(
    engine: Engine, workspace: Workspace, claimer: Claimer, now: datetime
) -> None:
    skipping = _job(engine, workspace, OverlapPolicy.SKIP, now)
    allowing = _job(engine, workspace, OverlapPolicy.ALLOW, now)
    due = [
        *_due(engine, workspace, skipping, now, now + SECOND),
        *_due(engine, workspace, allowing, now, now + SECOND),
    ]
    assert set(_claim(engine, claimer, due)) == {due[0], due[2], due[3]}

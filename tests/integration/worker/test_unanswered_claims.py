"""A claim whose commit is not answered: whoever lives goes on, and what it holds goes on too."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

import factories
from chronos_common import clock
from chronos_common.domain import queues
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage.executions import claims
from chronos_common.storage.jobs.specs import Specs
from chronos_worker import claim
from chronos_worker.claim import Claimer
from factories import Workspace
from outages import lose_answer


@pytest.fixture
def claimer(engine: Engine, heartbeat: Heartbeat) -> Claimer:
    return Claimer(engine, heartbeat)


@pytest.fixture
def queued(engine: Engine, workspace: Workspace, now: datetime) -> list[UUID]:
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(3600, anchor=now), now=now)
        return [
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue=queues.WEBHOOKS,
                now=clock.now(),
            )
            for _ in range(3)
        ]


def _claim(engine: Engine, claimer: Claimer, identifiers: list[UUID]) -> int:
    with engine.connect() as connection:
        specs = Specs().of(connection, identifiers)
    return len(claimer.claim(identifiers, specs, queue=queues.WEBHOOKS))


def _claim_without_answer(
    engine: Engine,
    claimer: Claimer,
    identifiers: list[UUID],
    monkeypatch: pytest.MonkeyPatch,
    *,
    commits: bool,
) -> None:
    lose_answer(engine, monkeypatch, commits=commits)
    with pytest.raises(OperationalError):
        _claim(engine, claimer, identifiers)


def _states(engine: Engine, identifiers: list[UUID]) -> set[tuple[str, bool]]:
    query = text("""
        SELECT status, worker_id IS NOT NULL FROM executions
         WHERE id = ANY(CAST(:ids AS uuid[]))""")
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(query, {"ids": identifiers})}


def test_what_was_claimed_without_an_answer_is_given_back_and_nothing_else(
    engine: Engine, claimer: Claimer, queued: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = queued[:1], queued[1:]
    assert _claim(engine, claimer, known) == 1
    _claim_without_answer(engine, claimer, queued, monkeypatch, commits=True)
    assert _states(engine, unknown) == {("running", True)}
    claimer.give_back_unanswered()
    assert _states(engine, known) == {("running", True)}
    assert _states(engine, unknown) == {("queued", False)}
    assert not claimer._unanswered


def test_what_is_claimed_properly_afterwards_is_kept(
    engine: Engine, claimer: Claimer, queued: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    _claim_without_answer(engine, claimer, queued, monkeypatch, commits=False)
    assert _claim(engine, claimer, queued) == 3
    claimer.give_back_unanswered()
    assert _states(engine, queued) == {("running", True)}


def test_it_is_asked_again_as_long_as_the_commit_may_come(
    engine: Engine, claimer: Claimer, queued: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    _claim_without_answer(engine, claimer, queued, monkeypatch, commits=False)
    claimer.give_back_unanswered()
    assert len(claimer._unanswered) == 1
    monkeypatch.setattr(claim, "REMEMBERED_SECONDS", 0.0)
    claimer.give_back_unanswered()
    assert not claimer._unanswered


def test_a_claim_that_broke_before_its_commit_is_not_remembered(
    engine: Engine, claimer: Claimer, queued: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_connection(connection: Connection, *_: object, **__: object) -> None:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr(claims, "claim", end_connection)
    with pytest.raises(OperationalError):
        _claim(engine, claimer, queued)
    assert not claimer._unanswered


def test_the_loop_that_gives_back_is_woken_and_goes_on_as_long_as_needed(
    engine: Engine,
    heartbeat: Heartbeat,
    queued: list[UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[bool] = []
    claimer = Claimer(engine, heartbeat, on_unanswered=lambda: woken.append(True))
    assert not claimer.has_unanswered
    _claim_without_answer(engine, claimer, queued, monkeypatch, commits=True)
    assert woken
    assert claimer.has_unanswered
    claimer.give_back_unanswered()
    assert not claimer.has_unanswered

"""Intake: nothing that is stored, or said to the queue, keeps the rest from being performed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

import factories
from chronos_common import clock
from chronos_common.domain import queues
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import POSTPONED_BY, Succeeded
from chronos_common.domain.payloads import EMAIL
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage.executions import history, undispatched
from chronos_common.storage.jobs.specs import MAX_KEPT_BYTES, Specs
from chronos_worker.actions import Actions, webhook
from chronos_worker.claim import Claimer
from chronos_worker.executor import BlockingExecutor
from chronos_worker.intake import LONGEST_HOLD, Intake, TooEarly
from chronos_worker.recorder import Recorder
from factories import Workspace


@pytest.fixture
def recorder(engine: Engine) -> Iterator[Recorder]:
    recorder = Recorder(engine)
    recorder.start()
    yield recorder
    recorder.stop()


def _prepared(execution: Claimed, job: JobSpec) -> tuple[Succeeded, Attempt]:
    """Understand the payload, but send nothing."""
    webhook.prepare(execution, job)
    return Succeeded(), Attempt(started_at=clock.now(), duration_ms=1)


class _Counting:
    """An executor that notes how many statements came before there was room."""

    def __init__(self, statements: list[str]) -> None:
        self._statements = statements
        self.before_room: list[int] = []

    @contextmanager
    def room_for_batch(self, _stop: Event, **_: bool) -> Iterator[None]:
        self.before_room.append(len(self._statements))
        yield

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        assert claimed


class _Stopping:
    """An executor that the worker's stop overtakes while it waits for room."""

    def __init__(self) -> None:
        self.begun: list[Sequence[tuple[Claimed, JobSpec]]] = []

    @contextmanager
    def room_for_batch(self, stop: Event, **_: bool) -> Iterator[None]:
        stop.set()
        yield

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        self.begun.append(claimed)


@pytest.fixture
def intake(engine: Engine, recorder: Recorder, heartbeat: Heartbeat) -> Intake:
    return Intake(
        engine,
        Claimer(engine, heartbeat),
        recorder,
        BlockingExecutor(Actions({"webhook": _prepared}), recorder),
        queue=queues.WEBHOOKS,
        stop=Event(),
    )


def _due(engine: Engine, workspace: Workspace, now: datetime, queue: str) -> tuple[UUID, UUID]:
    """Store a job with an execution that is due in ``queue``; return both ids."""
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(3600, anchor=now), now=now)
        execution_id = factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue=queue, now=clock.now()
        )
    return job_id, execution_id


def _damage(engine: Engine, job_id: UUID, damage: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE jobs SET {damage} WHERE id = :id"),  # noqa: S608 - constants
            {"id": job_id},
        )


@pytest.mark.parametrize(
    "damage",
    [
        "payload = 'null'",
        "payload = '5'",
        "payload = '{}'",
        "payload = CAST(repeat('9', 5000) AS json)",
        "payload = CAST(repeat('[', 3000) || repeat(']', 3000) AS json)",
        "type = 'email'",
    ],
)
def test_a_damaged_payload_fails_its_own_execution_only(
    engine: Engine,
    workspace: Workspace,
    intake: Intake,
    recorder: Recorder,
    now: datetime,
    damage: str,
) -> None:
    damaged, first = _due(engine, workspace, now, queues.WEBHOOKS)
    sound, second = _due(engine, workspace, now, queues.WEBHOOKS)
    _damage(engine, damaged, damage)
    intake.accept([first, second], clock.now())
    assert recorder.flush(10)
    [row] = factories.executions_of(engine, damaged)
    assert row["status"] == "failed"
    assert row["error"].startswith("The stored payload is invalid")
    [row] = factories.executions_of(engine, sound)
    assert row["status"] == "succeeded"


def _with_long_payload(
    engine: Engine, workspace: Workspace, now: datetime
) -> tuple[UUID, UUID, Callable[[], dict[str, Any]]]:
    """Store such a job; return its id, a due execution, and what reads that execution's row."""
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    body = "x" * (MAX_KEPT_BYTES + 1)
    _damage(engine, job_id, f"""payload = '{{"url": "https://example.com", "body": "{body}"}}'""")
    return job_id, execution_id, lambda: factories.executions_of(engine, job_id)[0]


def test_a_long_payload_is_read_for_an_execution_that_was_claimed_and_for_no_other(
    engine: Engine,
    workspace: Workspace,
    intake: Intake,
    recorder: Recorder,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message of a thousand ids, whoever wrote it, would take 256 MiB."""
    job_id, execution_id, row = _with_long_payload(engine, workspace, now)
    with engine.connect() as connection:
        spec = Specs().of(connection, [execution_id])[job_id]
        assert spec.payload is None
    intake.accept([execution_id], clock.now())
    assert recorder.flush(10)
    assert row()["status"] == "succeeded"

    def read(*_: object) -> Any:
        raise AssertionError("a payload was read")

    monkeypatch.setattr(Specs, "whole", read)
    intake.accept([execution_id], clock.now())


def test_an_execution_whose_payload_cannot_be_read_was_not_attempted(
    engine: Engine,
    workspace: Workspace,
    intake: Intake,
    recorder: Recorder,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, long, row_of_long = _with_long_payload(engine, workspace, now)
    short_job, short = _due(engine, workspace, now, queues.WEBHOOKS)

    def fail(*_: object) -> Any:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(Specs, "whole", fail)
    before = clock.now()
    intake.accept([long, short], before)
    assert recorder.flush(10)
    assert (row_of_long()["status"], row_of_long()["attempt"]) == ("queued", 1)
    assert row_of_long()["due_at"] >= before + POSTPONED_BY
    assert factories.executions_of(engine, short_job)[0]["status"] == "succeeded"


def test_an_execution_with_a_payload_of_its_own_is_performed_with_it(
    engine: Engine, workspace: Workspace, intake: Intake, recorder: Recorder, now: datetime
) -> None:
    """Only its own one can be understood."""
    job_id, edited = _due(engine, workspace, now, queues.WEBHOOKS)
    _damage(engine, job_id, "payload = '{}'")
    with engine.begin() as connection:
        payload = {"url": "https://example.com/"}
        history.edit(connection, [edited], payload=payload, note=None, due_at=clock.now())
    intake.accept([edited], clock.now())
    assert recorder.flush(10)
    [row] = factories.executions_of(engine, job_id)
    assert row["status"] == "succeeded"


@pytest.mark.parametrize("damaged", ["null", "5", "9" * 5000])
def test_a_damaged_payload_of_an_execution_fails_it_only(
    engine: Engine,
    workspace: Workspace,
    intake: Intake,
    recorder: Recorder,
    now: datetime,
    damaged: str,
) -> None:
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    sound, other = _due(engine, workspace, now, queues.WEBHOOKS)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET payload = CAST(:payload AS json) WHERE id = :id"),
            {"payload": damaged, "id": execution_id},
        )
    intake.accept([execution_id, other], clock.now())
    assert recorder.flush(10)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT job_id, status FROM executions")).all()
    assert {row.job_id: row.status for row in rows} == {job_id: "failed", sound: "succeeded"}


def test_a_type_that_this_worker_does_not_know_fails_its_executions_and_is_named(
    engine: Engine, workspace: Workspace, intake: Intake, recorder: Recorder, now: datetime
) -> None:
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    _damage(engine, job_id, "type = 'fax'")
    intake.accept([execution_id], clock.now())
    assert recorder.flush(10)
    [row] = factories.executions_of(engine, job_id)
    assert row["status"] == "failed"
    assert "'fax' is not known here; it must be one of webhook," in row["error"]


def test_a_forged_message_takes_nothing_from_another_queue(
    engine: Engine, workspace: Workspace, intake: Intake, recorder: Recorder, now: datetime
) -> None:
    mails, mail = _due(engine, workspace, now, EMAIL.queue)
    hooks, hook = _due(engine, workspace, now, queues.WEBHOOKS)
    intake.accept([uuid4(), mail, hook], clock.now())
    assert recorder.flush(10)
    assert [row["status"] for row in factories.executions_of(engine, mails)] == ["queued"]
    assert [row["status"] for row in factories.executions_of(engine, hooks)] == ["succeeded"]


def test_an_execution_without_its_job_is_not_taken(
    engine: Engine, workspace: Workspace, intake: Intake, recorder: Recorder, now: datetime
) -> None:
    gone, first = _due(engine, workspace, now, queues.WEBHOOKS)
    sound, second = _due(engine, workspace, now, queues.WEBHOOKS)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": gone})
    intake.accept([first, second], clock.now())
    assert recorder.flush(10)
    assert [row["status"] for row in factories.executions_of(engine, sound)] == ["succeeded"]


def test_what_waits_for_its_turn_when_the_worker_stops_goes_back(
    engine: Engine, workspace: Workspace, recorder: Recorder, heartbeat: Heartbeat, now: datetime
) -> None:
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    with engine.begin() as connection:
        undispatched.mark_dispatched(connection, [execution_id], now=now)
    executor = _Stopping()
    intake = Intake(
        engine,
        Claimer(engine, heartbeat),
        recorder,
        executor,
        queue=queues.WEBHOOKS,
        stop=Event(),
    )
    intake.accept([execution_id], now)
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["dispatched_at"]) == ("queued", None)
    assert executor.begun == []


def test_a_message_that_is_held_when_the_worker_stops_goes_back(
    engine: Engine, workspace: Workspace, recorder: Recorder, heartbeat: Heartbeat, now: datetime
) -> None:
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    with engine.begin() as connection:
        undispatched.mark_dispatched(connection, [execution_id], now=now)
    stop, executor = Event(), _Stopping()
    intake = Intake(
        engine,
        Claimer(engine, heartbeat),
        recorder,
        executor,
        queue=queues.WEBHOOKS,
        stop=stop,
    )
    stop.set()
    intake.accept([execution_id], clock.now() + timedelta(seconds=5))
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["dispatched_at"]) == ("queued", None)
    assert executor.begun == []


def test_a_message_for_a_distant_instant_is_refused(
    engine: Engine, workspace: Workspace, intake: Intake, now: datetime
) -> None:
    """Fails if a forged message, or a wrong clock, could hold a thread for ever."""
    job_id, execution_id = _due(engine, workspace, now, queues.WEBHOOKS)
    with pytest.raises(TooEarly):
        intake.accept([execution_id], clock.now() + LONGEST_HOLD + timedelta(seconds=5))
    [execution] = factories.executions_of(engine, job_id)
    assert execution["status"] == "queued"


def test_a_late_message_reads_nothing_before_there_is_room(
    engine: Engine, workspace: Workspace, recorder: Recorder, heartbeat: Heartbeat, now: datetime
) -> None:
    """Fails if many late messages take all connections, and others wait for one."""
    statements: list[str] = []
    _, late = _due(engine, workspace, now, queues.WEBHOOKS)
    _, on_time = _due(engine, workspace, now, queues.WEBHOOKS)
    executor = _Counting(statements)
    intake = Intake(
        engine,
        Claimer(engine, heartbeat),
        recorder,
        executor,
        queue=queues.WEBHOOKS,
        stop=Event(),
    )
    event.listen(engine, "before_cursor_execute", lambda *values: statements.append(values[2]))
    intake.accept([late], clock.now(), is_backlog=True)
    statements.clear()
    intake.accept([on_time], clock.now() + timedelta(seconds=1))
    assert executor.before_room[0] == 0
    assert executor.before_room[1] > 0

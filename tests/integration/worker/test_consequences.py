"""The steps after a record: consequences of executions that moved, in the same transaction."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

import factories
from chronos_common import clock
from chronos_common.domain.executions import Attempt, Claimed, Moved
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.retries import RetryPolicy
from chronos_common.storage.consequences import CONSEQUENCES, Consequence
from chronos_worker.attempts import Finished
from chronos_worker.recorder import Recorder
from factories import Workspace

Step = Callable[[Connection, Sequence[Moved]], None]


@pytest.fixture
def claimed(engine: Engine, workspace: Workspace, now: datetime) -> list[Claimed]:
    """Three executions of one job, which a worker holds."""
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(3600, anchor=now), now=now)
        queued = [
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue="webhooks",
                now=clock.now(),
            )
            for _ in range(3)
        ]
        return factories.claim(connection, queued, worker_id=UUID(int=1), now=clock.now())


def _finished(claimed: Claimed, outcome: Outcome) -> Finished:
    attempt = Attempt(started_at=clock.now(), duration_ms=12, response={"status": 200})
    return Finished(claimed, "webhooks", RetryPolicy(max_attempts=1), outcome, attempt)


def _as_step(step: Step) -> Consequence:
    def run(connection: Connection, moved: Sequence[Moved], /, *, now: datetime) -> None:
        assert now <= clock.now()
        step(connection, moved)

    return run


@contextmanager
def _recording(engine: Engine, *steps: Step) -> Iterator[Recorder]:
    """Run a recorder with the worker's own steps, and then these."""
    recorder = Recorder(engine, consequences=(*CONSEQUENCES, *map(_as_step, steps)))
    recorder.start()
    yield recorder
    recorder.stop()


def _counted(connection: Connection) -> int:
    query = text("SELECT coalesce(sum(executions), 0) FROM execution_stats")
    return int(connection.execute(query).scalar_one())


def _announced(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM notifications")).scalar_one())


def _attempts(engine: Engine, claimed: Claimed) -> dict[UUID, tuple[str, Sequence[object]]]:
    rows = factories.executions_of(engine, claimed.job_id)
    return {row["id"]: (row["status"], row["attempts"]) for row in rows}


def test_a_further_step_runs_after_the_workers_own_in_the_same_transaction(
    engine: Engine, claimed: list[Claimed]
) -> None:
    """Fails if a step has its own transaction: it would not see what the steps before wrote."""
    seen: list[tuple[set[str], int, int]] = []

    def step(connection: Connection, moved: Sequence[Moved]) -> None:
        with engine.connect() as other:
            assert (_counted(other), _announced(other)) == (0, 0), "nothing is committed yet"
        statuses = {str(each.status) for each in moved}
        seen.append((statuses, _counted(connection), _announced(connection)))

    with _recording(engine, step) as recorder:
        recorder.put(_finished(claimed[0], Succeeded()))
        recorder.put(_finished(claimed[1], Failed("Refused.")))
        assert recorder.flush(10)
    assert seen == [({"succeeded", "failed"}, 2, 1)]


def test_an_outage_in_a_step_rolls_back_the_record_which_is_written_later(
    engine: Engine, claimed: list[Claimed]
) -> None:
    """Fails if executions move although a consequence of that was not written."""
    is_away, failed = Event(), Event()
    is_away.set()

    def step(_connection: Connection, _moved: Sequence[Moved]) -> None:
        if is_away.is_set():
            failed.set()
            raise OperationalError("SELECT 1", {}, Exception(), connection_invalidated=True)

    with _recording(engine, step) as recorder:
        recorder.put(_finished(claimed[0], Failed("Refused.")))
        assert failed.wait(10)
        assert not recorder.flush(0.5)
        with engine.connect() as connection:
            assert (_counted(connection), _announced(connection)) == (0, 0)
        assert _attempts(engine, claimed[0])[claimed[0].id][0] == "running"
        is_away.clear()
        assert recorder.flush(10)
    with engine.connect() as connection:
        assert (_counted(connection), _announced(connection)) == (1, 1)
    assert _attempts(engine, claimed[0])[claimed[0].id][0] == "failed"


def _refused_by_the_database(connection: Connection) -> None:
    connection.execute(text("SELECT 1 / 0"))


def _wrong(_: Connection) -> None:
    raise KeyError("a rule that does not exist")


@pytest.mark.parametrize("fault", [_refused_by_the_database, _wrong])
def test_a_step_that_fails_on_one_execution_keeps_no_outcome_from_being_written(
    engine: Engine, claimed: list[Claimed], fault: Callable[[Connection], None]
) -> None:
    """Fails if the batch is not divided, or the outcome at fault is lost with its step."""
    poison, *plain = claimed

    def step(connection: Connection, moved: Sequence[Moved]) -> None:
        if poison.id in {each.id for each in moved}:
            fault(connection)

    with _recording(engine, step) as recorder:
        for each in (plain[0], poison, plain[1]):
            recorder.put(_finished(each, Succeeded()))
        assert recorder.flush(10)
    attempts = _attempts(engine, poison)
    assert {status for status, _ in attempts.values()} == {"succeeded"}
    assert all("response" in history[0] for _, history in attempts.values())
    with engine.connect() as connection:
        assert _counted(connection) == len(plain), "the one at fault has none of its consequences"

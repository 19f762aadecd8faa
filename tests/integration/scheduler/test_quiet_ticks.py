"""What a tick of the scheduler locks: nothing, unless something is due."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, event, text

import factories
from chronos_common import clock
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.plan import Planner
from factories import Workspace


def _locking(engine: Engine, tick: Callable[[], bool]) -> tuple[int, int]:
    """Tick, and return how many statements that took, and how many of them lock rows."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    tick()
    event.remove(engine, "before_cursor_execute", note)
    return len(seen), sum("FOR UPDATE" in each for each in seen)


@pytest.mark.parametrize(
    ("due_in", "locking"),
    [
        pytest.param(timedelta(minutes=30), 0, id="nothing is due"),
        pytest.param(timedelta(0), 1, id="due now"),
        pytest.param(timedelta(minutes=-2), 2, id="due for long, and so looked for apart"),
    ],
)
def test_plan_locks_what_is_due(
    engine: Engine, workspace: Workspace, planner: Planner, due_in: timedelta, locking: int
) -> None:
    now = clock.now()
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        factories.job(connection, workspace, schedule, now=now, next_run_at=now + due_in)
    statements, locked = _locking(engine, planner.tick)
    assert locked == locking
    assert (statements == 1) is (locking == 0)


def test_dispatch_locks_what_is_with_no_worker(
    engine: Engine, workspace: Workspace, dispatcher: Dispatcher, now: datetime
) -> None:
    assert _locking(engine, dispatcher.tick) == (1, 0)
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        later = now + timedelta(minutes=30)
        job_id = factories.job(connection, workspace, schedule, now=now, next_run_at=later)
        factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=now
        )
    _, locked = _locking(engine, dispatcher.tick)
    assert locked == 1
    assert factories.executions_of(engine, job_id)[0]["dispatched_at"]


@pytest.mark.parametrize(
    ("due_in", "is_known"), [(timedelta(seconds=4), True), (timedelta(seconds=60), False)]
)
def test_dispatch_knows_of_a_retry_that_is_due_before_it_looks_again(
    engine: Engine,
    workspace: Workspace,
    planner: Planner,
    dispatcher: Dispatcher,
    now: datetime,
    due_in: timedelta,
    is_known: bool,  # noqa: FBT001 - a case
) -> None:
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        factories.job(connection, workspace, schedule, now=now, next_run_at=now)
    planner.tick()
    due_at = clock.now() + due_in
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET status = 'retrying', dispatched_at = NULL, due_at = :due"),
            {"due": due_at},
        )
    assert not dispatcher.tick()
    assert dispatcher.next_due == (due_at if is_known else None)

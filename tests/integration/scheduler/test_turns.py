"""Turns: however much of one workspace is due, another one's executions are handed over."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

import factories
from chronos_common import clock, ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain import queues
from chronos_common.storage.executions import undispatched
from chronos_common.storage.jobs import schedules
from chronos_scheduler.dispatch import FIRST, Dispatcher
from chronos_scheduler.plan import Planner
from chronos_scheduler.rescue import Rescuer
from factories import Workspace

SECOND = timedelta(seconds=1)
#: More than three batches of the fixtures.
MANY = 350

COPY_JOBS = """
    INSERT INTO jobs SELECT (jsonb_populate_record(j, jsonb_build_object('id', copies.id))).*
      FROM jobs j, unnest(CAST(:ids AS uuid[])) AS copies (id) WHERE j.id = :template"""
COPY_SCHEDULES = """
    INSERT INTO schedules
    SELECT (jsonb_populate_record(s, jsonb_build_object('job_id', copies.id))).*
      FROM schedules s, unnest(CAST(:ids AS uuid[])) AS copies (id) WHERE s.job_id = :template"""

Store = Callable[..., Workspace]


@pytest.fixture
def store(engine: Engine, now: datetime) -> Store:
    """Stores a workspace with so many hourly jobs, whose next run is at ``due``."""
    count = 0

    def stored(jobs: int, *, due: datetime) -> Workspace:
        nonlocal count
        count += 1
        with engine.begin() as connection:
            owner = factories.workspace(connection, now=now, email=f"{count}@example.com")
            hourly = factories.every(3600, anchor=due)
            template = factories.job(connection, owner, hourly, now=now, next_run_at=due)
            copies = {"ids": [ids.new_id(now) for _ in range(jobs - 1)], "template": template}
            connection.execute(text(COPY_JOBS), copies)
            connection.execute(text(COPY_SCHEDULES), copies)
        return owner

    return stored


def _trigger(engine: Engine, owner: Workspace, *, at: datetime, queue: str = "webhooks") -> None:
    """Trigger every job of a workspace."""
    with engine.begin() as connection:
        jobs = connection.execute(
            text("SELECT id FROM jobs WHERE workspace_id = :id"), {"id": owner.id}
        ).scalars()
        factories.executions_storage.trigger(
            connection, owner.id, dict.fromkeys(jobs, queue), now=at
        )


def _count(engine: Engine, condition: str = "true") -> Counter[UUID]:
    """Return the number of executions by workspace."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT workspace_id, count(*) FROM executions"  # noqa: S608 - a constant
                f" WHERE {condition} GROUP BY workspace_id"
            )
        )
        return Counter({row[0]: row[1] for row in rows})


def _dispatched(engine: Engine) -> Counter[UUID]:
    return _count(engine, "dispatched_at IS NOT NULL")


def test_a_tick_plans_some_of_each_workspace_however_much_of_one_is_due(
    engine: Engine, planner: Planner, store: Store, now: datetime
) -> None:
    """Fails without the turn: a batch holds the earliest, and all of those are one's."""
    busy = store(MANY, due=now - 2 * SECOND)
    others = [store(2, due=now) for _ in range(3)]
    assert planner.tick()
    planned = _count(engine)
    assert [planned[other.id] for other in others] == [2, 2, 2]
    # The busy one loses nothing to the turn.
    assert planned[busy.id] >= 100


def test_what_is_long_overdue_takes_turns_too(
    engine: Engine, planner: Planner, store: Store, now: datetime
) -> None:
    store(MANY, due=now - timedelta(hours=2))
    other = store(1, due=now - timedelta(hours=1))
    planner.tick()
    assert _count(engine)[other.id]


def test_every_workspace_gets_its_turn_although_a_turn_has_not_room_for_all(
    engine: Engine, planner: Planner, store: Store, now: datetime
) -> None:
    """Fails if each turn begins with the same workspace."""
    store(MANY, due=now - 2 * SECOND)
    others = [store(20, due=now) for _ in range(20)]
    # A turn takes a hundred, at most twelve of each.
    for _ in range(3):
        assert planner.tick()
    planned = _count(engine)
    assert all(planned[other.id] for other in others)


def test_planners_side_by_side_take_turns_and_double_nothing(
    engine: Engine, dispatcher: Dispatcher, store: Store, now: datetime
) -> None:
    owners = [store(150, due=now - 2 * SECOND), *(store(10, due=now) for _ in range(5))]
    planners = [Planner(engine, dispatcher, lookahead=SECOND, batch=20) for _ in range(3)]

    def plan(planner: Planner) -> None:
        while planner.tick():
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(plan, planners))
    assert [_count(engine)[owner.id] for owner in owners] == [150, 10, 10, 10, 10, 10]


def test_planning_that_is_not_behind_takes_no_turns(
    engine: Engine, dispatcher: Dispatcher, store: Store
) -> None:
    planner = Planner(engine, dispatcher, lookahead=600 * SECOND, batch=100)
    store(MANY, due=clock.now() + 500 * SECOND)
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *values: seen.append(values[2]))
    planner.tick()
    assert sum("FOR UPDATE SKIP LOCKED" in each for each in seen) == 1


def test_a_tick_dispatches_some_of_each_workspace_however_many_were_triggered(
    engine: Engine, dispatcher: Dispatcher, store: Store, now: datetime
) -> None:
    """Fails without the turn: a batch holds the earliest, and all of those are one's."""
    busy, other = store(MANY, due=now + timedelta(hours=1)), store(1, due=now)
    _trigger(engine, busy, at=now - SECOND)
    _trigger(engine, other, at=now)
    assert dispatcher.tick()
    assert _dispatched(engine)[other.id] == 1
    assert _dispatched(engine)[busy.id] >= 100
    while dispatcher.tick():
        pass
    assert _dispatched(engine)[busy.id] == MANY


def test_a_queue_takes_a_share_of_each_workspace_into_its_first_list(
    engine: Engine,
    dispatcher: Dispatcher,
    broker: Broker,
    store: Store,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails without shares: then the other one's message is behind all of the busy one's."""
    monkeypatch.setattr(queues, "WEBHOOK_SHARE", 30)
    busy, other = store(90, due=now + timedelta(hours=1)), store(1, due=now)
    _trigger(engine, busy, at=now - SECOND)
    _trigger(engine, other, at=now)
    dispatcher.tick()
    # Messages carry three: ten within the share, one of the other, twenty beyond.
    depths = broker.depths()
    assert 10 <= depths["webhooks"] <= 11
    assert depths["webhooks_backlog"] == 20


def test_while_the_backlog_is_full_each_workspace_still_gets_its_share(
    engine: Engine,
    dispatcher: Dispatcher,
    planner: Planner,
    broker: Broker,
    now: datetime,
    store: Store,
) -> None:
    """Fails if the length of the backlog keeps everything from being published."""
    old = clock.now() - 10 * SECOND
    broker.publish([Batch("webhooks", [UUID(int=1)], now, is_backlog=True)], now=old)
    busy, other = store(MANY, due=now + timedelta(hours=1)), store(1, due=now)
    _trigger(engine, busy, at=now - SECOND)
    planner.tick()
    assert _dispatched(engine)[other.id] == 0
    dispatcher.tick()
    assert _dispatched(engine)[other.id] == 1
    assert 0 < _dispatched(engine)[busy.id] < MANY / 2
    assert broker.depths()["webhooks_backlog"] == 1


def test_a_message_in_a_backlog_is_not_taken_for_lost(
    engine: Engine, rescuer: Rescuer, broker: Broker, store: Store, now: datetime
) -> None:
    """Fails if rescue reads first lists only."""
    owner = store(1, due=now + timedelta(hours=1))
    _trigger(engine, owner, at=now - 60 * SECOND)
    with engine.begin() as connection:
        due = undispatched.lock_due(connection, queues.BACKLOG_OF, horizon=clock.now(), batch=10)
        undispatched.mark_dispatched(connection, due.waiting, now=clock.now() - 50 * SECOND)
    batch = Batch("webhooks", due.waiting, now, is_backlog=True)
    broker.publish([batch], now=clock.now() - 60 * SECOND)
    rescuer.tick()
    assert _dispatched(engine)[owner.id] == 1
    assert broker.depths()["webhooks"] == 0


def _visited(engine: Engine, run: Callable[[], object]) -> int:
    """Return how many rows the statements of ``run`` read."""
    seen: list[tuple[str, object]] = []
    event.listen(engine, "before_cursor_execute", lambda *values: seen.append(values[2:4]))
    run()
    with engine.connect() as connection:
        plans = [
            connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values
            ).scalar_one()
            for statement, values in list(seen)
            if "FOR UPDATE" in statement or "min(due_at)" in statement
        ]
    assert plans
    return sum(_rows(plan[0]["Plan"]) for plan in plans)


def _rows(node: dict[str, object]) -> int:
    removed = sum(
        int(str(value)) for name, value in node.items() if name.startswith("Rows Removed")
    )
    own = float(str(node["Actual Rows"])) + removed if "Index" in str(node["Node Type"]) else 0
    inner = node.get("Plans", [])
    assert isinstance(inner, list)
    assert "Seq Scan" not in str(node["Node Type"]) or node.get("Relation Name") != "executions"
    return int(own * float(str(node["Actual Loops"]))) + sum(map(_rows, inner))


def test_a_turn_reads_no_more_than_it_takes(engine: Engine, store: Store, now: datetime) -> None:
    """Fails if the statistics, which know one workspace, lead to an index without it."""
    store(3000, due=now - SECOND)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    for _ in range(5):
        store(1, due=now)

    def claim() -> None:
        with engine.begin() as connection:
            due = schedules.claim_in_turn(
                connection,
                since=now - 60 * SECOND,
                horizon=now + SECOND,
                after=FIRST,
                share=10,
                batch=1000,
            )
        assert len(due) == 15

    assert _visited(engine, claim) <= 100


def test_no_queue_is_searched_through_the_executions_of_another(
    engine: Engine, dispatcher: Dispatcher, broker: Broker, store: Store, now: datetime
) -> None:
    """Fails if the index for what waits does not begin with the queue."""
    busy, other = store(2000, due=now + timedelta(hours=1)), store(1, due=now)
    _trigger(engine, busy, at=now - SECOND, queue="emails")
    _trigger(engine, other, at=now)
    broker.publish([Batch("emails", [UUID(int=1)], now)], now=clock.now() - 10 * SECOND)
    assert dispatcher.accepting == {"webhooks", "tasks"}
    assert _visited(engine, dispatcher.tick) <= 100
    assert _dispatched(engine)[other.id] == 1

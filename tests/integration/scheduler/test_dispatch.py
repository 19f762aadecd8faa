"""Dispatch and rescue: whatever Redis loses, PostgreSQL still knows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import Connection, Engine, event, text

import factories
from chronos_common import clock, ids
from chronos_common.broker import Batch, Broker
from chronos_common.domain import queues
from chronos_common.domain.retries import MAX_REDELIVERIES
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.storage.executions import partitions, undispatched
from chronos_scheduler.dispatch import RECENT, Dispatcher
from chronos_scheduler.plan import Planner
from chronos_scheduler.rescue import Rescuer
from factories import StoreJob, Workspace

SECOND = timedelta(seconds=1)


def _hourly(now: datetime) -> Schedule:
    return factories.every(3600, anchor=now)


def _trigger(engine: Engine, workspace: Workspace, now: datetime, times: int = 1) -> UUID:
    with engine.begin() as connection:
        job_id = factories.job(
            connection, workspace, _hourly(now), now=now, next_run_at=now + 1800 * SECOND
        )
        for _ in range(times):
            factories.trigger(
                connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=now
            )
    return job_id


def _age(engine: Engine, seconds: int) -> None:
    """Make every dispatched execution ``seconds`` older."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE executions SET due_at = due_at - :age,"
                " dispatched_at = dispatched_at - :age"
            ),
            {"age": timedelta(seconds=seconds)},
        )


def test_a_trigger_is_dispatched_once_in_messages_of_bounded_size(
    engine: Engine, workspace: Workspace, dispatcher: Dispatcher, broker: Broker, now: datetime
) -> None:
    job_id = _trigger(engine, workspace, now, times=7)
    dispatcher.tick()
    dispatcher.tick()
    assert broker.depths()["webhooks"] == 3
    assert all(each["dispatched_at"] for each in factories.executions_of(engine, job_id))


class _Vanishing(Broker):
    """A Redis that goes away between the look into its queues and the publishing."""

    def oldest(self) -> dict[str, datetime]:
        return {}


def test_when_redis_is_away_nothing_is_lost(
    engine: Engine, workspace: Workspace, broker: Broker, now: datetime
) -> None:
    failures: list[None] = []
    away = Dispatcher(
        engine,
        _Vanishing("redis://127.0.0.1:1/0"),
        lookahead=SECOND,
        batch=100,
        message_size=3,
        max_queued=2 * SECOND,
        on_failure=lambda: failures.append(None),
    )
    job_id = _trigger(engine, workspace, now)
    away.tick()
    assert len(failures) == 1
    assert not away.accepting
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["dispatched_at"]) == ("queued", None)
    back = Dispatcher(
        engine, broker, lookahead=SECOND, batch=100, message_size=3, max_queued=2 * SECOND
    )
    back.tick()
    assert broker.depths()["webhooks"] == 1


def test_full_queues_hold_executions_back_in_postgresql(
    a_job: StoreJob,
    engine: Engine,
    workspace: Workspace,
    dispatcher: Dispatcher,
    planner: Planner,
    broker: Broker,
    now: datetime,
) -> None:
    broker.publish([Batch("webhooks", [UUID(int=1)], now)], now=clock.now() - 10 * SECOND)
    triggered = _trigger(engine, workspace, now)
    planned = a_job(_hourly(now), next_run_at=now)
    planner.tick()
    dispatcher.tick()
    assert broker.depths()["webhooks"] == 1
    for job_id in (triggered, planned):
        [execution] = factories.executions_of(engine, job_id)
        assert (execution["status"], execution["dispatched_at"]) == ("queued", None)


def test_a_full_queue_holds_back_its_own_executions_only(
    engine: Engine,
    workspace: Workspace,
    dispatcher: Dispatcher,
    planner: Planner,
    broker: Broker,
    now: datetime,
) -> None:
    broker.publish([Batch("emails", [UUID(int=1)], now)], now=clock.now() - 10 * SECOND)
    for job_type in ("email", "webhook"):
        with engine.begin() as connection:
            factories.job(
                connection, workspace, _hourly(now), now=now, next_run_at=now, type=job_type
            )
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=factories.job(connection, workspace, _hourly(now), now=now),
                queue=queues.QUEUE_OF[job_type],
                now=clock.now(),
            )
    planner.tick()
    dispatcher.tick()
    depths = broker.depths()
    assert (depths["emails"], depths["webhooks"]) == (1, 2)


def test_an_execution_whose_job_was_deleted_by_hand_ends(
    engine: Engine, workspace: Workspace, dispatcher: Dispatcher, broker: Broker, now: datetime
) -> None:
    job_id = _trigger(engine, workspace, now)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": job_id})
    dispatcher.tick()
    assert broker.depths()["webhooks"] == 0
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["reason"]) == ("cancelled", "deleted")


def test_a_flushed_redis_is_noticed_and_everything_dispatched_again(
    a_job: StoreJob,
    engine: Engine,
    planner: Planner,
    rescuer: Rescuer,
    broker: Broker,
    redis_url: str,
    now: datetime,
) -> None:
    a_job(_hourly(now), next_run_at=now)
    planner.tick()
    rescuer.tick()
    assert broker.depths()["webhooks"] == 1
    with Redis.from_url(redis_url) as client:
        client.flushall()
    _age(engine, 20)
    rescuer.tick()
    assert broker.depths()["webhooks"] == 1


def test_an_execution_whose_message_still_waits_is_left_alone(
    engine: Engine,
    workspace: Workspace,
    rescuer: Rescuer,
    broker: Broker,
    now: datetime,
) -> None:
    job_id = _trigger(engine, workspace, now)
    with engine.begin() as connection:
        due = undispatched.lock_due(
            connection, queues.DURABLE, horizon=clock.now() + SECOND, batch=10
        )
        [identifier] = due.waiting
        undispatched.mark_dispatched(connection, [identifier], now=clock.now())
    broker.publish([Batch("webhooks", [identifier], now)], now=clock.now() - 60 * SECOND)
    _age(engine, 50)
    rescuer.tick()
    assert broker.depths()["webhooks"] == 1
    assert factories.executions_of(engine, job_id)[0]["dispatched_at"]


def _run_on(engine: Engine, job_id: UUID, worker_id: UUID) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE executions SET status = 'running', worker_id = :worker,"
                " dispatched_at = now(), started_at = now() WHERE job_id = :job"
            ),
            {"worker": worker_id, "job": job_id},
        )


def test_executions_of_a_silent_worker_are_handed_out_again(
    engine: Engine, workspace: Workspace, rescuer: Rescuer, broker: Broker, now: datetime
) -> None:
    with engine.begin() as connection:
        alive = factories.worker(connection, now=now)
        silent = factories.worker(connection, now=now, silent_for=60 * SECOND)
    held, lost, unknown = (_trigger(engine, workspace, now) for _ in range(3))
    _run_on(engine, held, alive)
    _run_on(engine, lost, silent)
    _run_on(engine, unknown, UUID(int=7))
    rescuer.tick()
    [left_alone] = factories.executions_of(engine, held)
    assert left_alone["status"] == "running"
    for job_id in (lost, unknown):
        [execution] = factories.executions_of(engine, job_id)
        assert (execution["status"], execution["redeliveries"]) == ("queued", 1)
        assert execution["attempt"] == 1
        assert execution["dispatched_at"]
    assert broker.depths()["webhooks"] == 1


def test_an_execution_that_loses_worker_after_worker_fails_and_says_why(
    engine: Engine, workspace: Workspace, rescuer: Rescuer, now: datetime
) -> None:
    job_id = _trigger(engine, workspace, now)
    _run_on(engine, job_id, UUID(int=7))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET redeliveries = :count"), {"count": MAX_REDELIVERIES}
        )
    rescuer.tick()
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["reason"]) == ("failed", "worker_lost")
    assert "not handed out again" in execution["error"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM notifications")).scalar_one() == 1


def test_a_retry_of_a_job_paused_meanwhile_ends_as_cancelled(
    a_job: StoreJob, engine: Engine, planner: Planner, dispatcher: Dispatcher, now: datetime
) -> None:
    job_id = a_job(_hourly(now), next_run_at=now)
    planner.tick()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET status = 'retrying', attempt = 2, dispatched_at = NULL")
        )
        connection.execute(text("UPDATE jobs SET status = 'paused'"))
    dispatcher.tick()
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["reason"]) == ("cancelled", "paused")


Searching = Callable[[Connection, datetime], object]


def _looking(connection: Connection, now: datetime) -> None:
    undispatched.next_due(connection, queues.DURABLE, horizon=now + SECOND, since=now - RECENT)


def _locking(connection: Connection, now: datetime) -> None:
    undispatched.lock_due(
        connection, queues.DURABLE, horizon=now + SECOND, batch=10, since=now - RECENT
    )


def _plan_of(connection: Connection, search: Searching, now: datetime) -> str:
    seen: list[tuple[str, object]] = []

    def note(_c: object, _u: object, statement: str, values: object, *_: object) -> None:
        seen.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    search(connection, now)
    event.remove(connection, "before_cursor_execute", note)
    [(statement, values)] = seen
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())


@pytest.mark.parametrize("search", [_looking, _locking])
def test_a_tick_looks_into_none_of_the_days_to_come(
    engine: Engine, now: datetime, search: Searching
) -> None:
    """Fails without the upper bound on the ids: planning over a week takes most of the time."""
    with engine.connect() as connection:
        tomorrow = now.date() + timedelta(days=1)
        # Whatever is made here is rolled back.
        coming = [tomorrow + timedelta(days=ahead) for ahead in range(1, 4)]
        for day in set(coming).difference(partitions.existing(connection)):
            partitions.create(connection, day)
        plan = _plan_of(connection, search, now)
    assert "executions" in plan
    assert not [day for day in coming if f"executions_{day:%Y%m%d}" in plan]


@pytest.mark.parametrize("search", [_looking, _locking])
def test_a_tick_goes_by_the_index_although_many_were_waiting(
    engine: Engine, workspace: Workspace, now: datetime, search: Searching
) -> None:
    """Fails without the order: where many are thought to wait, the first row will do."""
    with engine.connect() as connection:
        # Whatever is made here is rolled back.
        connection.execute(
            text("""
                INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue,
                    scheduled_for, due_at, attempt, redeliveries, attempts)
                SELECT CAST(overlay(CAST(:first AS text) PLACING lpad(to_hex(n), 12, '0') FROM 25)
                       AS uuid), :workspace, :workspace, 'manual', 'queued', 'webhooks', :now,
                       :now, 1, 0, '[]'
                  FROM generate_series(1, 5000) AS n"""),
            {"first": str(ids.lowest_at(now)), "workspace": workspace.id, "now": now},
        )
        connection.execute(text("ANALYZE executions"))
        plan = _plan_of(connection, search, now)
    assert "Index Scan" in plan
    assert "Seq Scan on executions" not in plan

"""What is counted as executions end, and what is told of it as the transaction commits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import Engine, text

import factories
from chronos_common import events, ids
from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import Status
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage import change_feed, consequences
from chronos_common.storage.change_feed import Change, UserAction
from chronos_common.storage.executions import statistics
from chronos_common.storage.jobs.specs import Specs
from chronos_scheduler.service import Scheduler
from chronos_worker.claim import Claimer
from chronos_worker.service import Worker
from factories import Workspace
from integration.api.api_settings import settings_for

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TABLES = ("execution_stats", "execution_stats_hourly")


def moved(
    workspace_id: UUID, now: datetime, *, status: Status = Status.SUCCEEDED, drift_ms: int = 3
) -> Moved:
    started_at = now + timedelta(milliseconds=drift_ms)
    return Moved(ids.trigger_id(now), workspace_id, UUID(int=1), status, now, started_at, 5)


def counts(engine: Engine, table: str = "execution_stats") -> dict[str, int]:
    query = text(f"SELECT status, sum(executions) AS n FROM {table} GROUP BY status")  # noqa: S608 - ours
    with engine.connect() as connection:
        return {row.status: row.n for row in connection.execute(query)}


def test_sums_grow_in_the_row_of_the_minute_and_of_the_hour(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    start = now.replace(minute=58, second=30)
    for at in (start, start + MINUTE, start + 2 * MINUTE):
        for drift_ms in (3, 70, 5000):
            with engine.begin() as connection:
                statistics.add(connection, [moved(workspace.id, at, drift_ms=drift_ms)], now=at)
    for table, rows in zip(TABLES, (3, 2), strict=True):
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT * FROM {table} ORDER BY 2")).mappings().all()  # noqa: S608 - ours
        assert len(found) == rows
        assert sum(row["executions"] for row in found) == 9
        assert sum(row["duration_ms_sum"] for row in found) == 45
        assert sum(row["drift_ms_sum"] for row in found) == 3 * 5073
        assert {row["drift_ms_max"] for row in found} == {5000}
        assert sum(sum(row["drift_counts"]) for row in found) == 9


def test_what_has_no_fate_or_did_not_start_has_no_drift(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    skipped = Moved(UUID(int=2), workspace.id, UUID(int=1), Status.SKIPPED, now, None, None)
    retrying = moved(workspace.id, now, status=Status.RETRYING)
    with engine.begin() as connection:
        statistics.add(connection, [skipped, retrying], now=now)
        statistics.add(connection, [skipped], now=now)
        [row] = connection.execute(text("SELECT * FROM execution_stats")).mappings()
    assert (row["status"], row["executions"], row["drift_counts"]) == ("skipped", 2, [])


def test_workspaces_that_are_gone_are_left_out(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    gone = UUID(int=5)
    with engine.begin() as connection:
        statistics.add(connection, [moved(gone, now), moved(workspace.id, now)], now=now)
    assert counts(engine) == counts(engine, TABLES[1]) == {"succeeded": 1}


def test_many_who_count_at_once_lose_nothing_and_do_not_deadlock(
    engine: Engine, now: datetime
) -> None:
    with engine.begin() as connection:
        owners = [
            factories.workspace(connection, now=now, email=f"{number}@example.com").id
            for number in range(6)
        ]

    def count(turn: int) -> None:
        batch = [
            moved(owner, now, status=status)
            for owner in (owners if turn % 2 else reversed(owners))
            for status in (Status.FAILED, Status.SUCCEEDED)
        ]
        with engine.begin() as connection:
            statistics.add(connection, batch if turn % 3 else batch[::-1], now=now)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(80)))
    for table in TABLES:
        assert counts(engine, table) == {"failed": 480, "succeeded": 480}


def test_minutes_are_kept_for_days_and_hours_for_long(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    ages = (HOUR, 7 * DAY, 9 * DAY, 399 * DAY, 401 * DAY)
    with engine.begin() as connection:
        for age in ages:
            statistics.add(connection, [moved(workspace.id, now)], now=now - age)
        statistics.prune(connection, before=now - 400 * DAY, now=now)
    assert [counts(engine, table)["succeeded"] for table in TABLES] == [2, 4]


@pytest.mark.parametrize("commits", [True, False])
def test_changes_are_told_with_their_commit_or_not_at_all(
    engine: Engine, workspace: Workspace, now: datetime, *, commits: bool
) -> None:
    told: list[Change] = []
    change_feed.follow(engine, told.extend)
    one, acted = (
        moved(workspace.id, now),
        UserAction(workspace.id, "job", UUID(int=3), "job.pause"),
    )
    with engine.connect() as connection, connection.begin() as transaction:
        consequences.write(connection, [one], now=now)
        change_feed.note(connection, [acted])
        assert told == []
        if commits:
            transaction.commit()
        else:
            transaction.rollback()
    assert told == ([one, acted] if commits else [])
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert len(told) == (2 if commits else 0)


@pytest.mark.parametrize("process", [Worker, Scheduler])
def test_what_workers_and_schedulers_move_is_told_to_those_who_look(
    engine: Engine,
    redis_url: str,
    workspace: Workspace,
    now: datetime,
    process: type[Worker] | type[Scheduler],
) -> None:
    database_url = engine.url.render_as_string(hide_password=False)
    running = process(settings_for(database_url, redis_url))
    with Redis.from_url(redis_url) as redis:
        redis.zadd(events.WANTED, {str(workspace.id): ids.milliseconds(now + HOUR)})
        with running._engine.begin() as connection:
            consequences.write(connection, [moved(workspace.id, now)], now=now)
        running._events.stop()
        [(_, fields)] = redis.xrange(events.stream_of(workspace.id))
    assert events.read_sums(fields[events.FIELD]).executions == {"succeeded": 1}
    running._engine.dispose()


def test_a_claim_is_told_as_a_start(engine: Engine, workspace: Workspace, now: datetime) -> None:
    told: list[Change] = []
    change_feed.follow(engine, told.extend)
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        queued = factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=now
        )
        specs = Specs().of(connection, [queued])
    heartbeat = Heartbeat(engine, kind="worker", timeout=MINUTE)
    heartbeat.start()
    try:
        assert Claimer(engine, heartbeat).claim([queued], specs, queue="webhooks")
    finally:
        heartbeat.stop()
    assert [(each.id, each.status) for each in told if isinstance(each, Moved)] == [
        (queued, Status.RUNNING)
    ]

"""The scheduler's chores: sweep, prune, complete, notify."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError

import factories
from chronos_common import clock, ids
from chronos_common.broker import Broker
from chronos_common.quotas import JOB_BYTES, JOBS
from chronos_common.settings import Settings
from chronos_common.storage import audit, quotas
from chronos_common.storage.executions import executions, partitions
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.postgres.database import connect
from chronos_common.storage.tables import metadata
from chronos_scheduler.complete import Completer
from chronos_scheduler.notify import Notifier
from chronos_scheduler.plan import Planner
from chronos_scheduler.prune import BATCH, Expirer, Pruner, oldest_kept
from chronos_scheduler.sweep import PATIENCE, Sweeper
from factories import Workspace
from integration.api.api_settings import settings_for
from rigs import wait_until

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return settings_for(database_url, redis_url)


def _finds(kind: str) -> float:
    return REGISTRY.get_sample_value("chronos_sweep_finds_total", {"find": kind}) or 0


def _hourly_job(engine: Engine, workspace: Workspace, now: datetime, **changes: object) -> UUID:
    with engine.begin() as connection:
        schedule = factories.every(3600, anchor=now)
        return factories.job(connection, workspace, schedule, now=now, **changes)  # type: ignore[arg-type]


def _trigger(engine: Engine, workspace: Workspace, job_id: UUID) -> UUID:
    with engine.begin() as connection:
        return factories.trigger(
            connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=clock.now()
        )


def _change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_a_sweep_of_a_healthy_system_finds_nothing(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now, next_run_at=now)
    _trigger(engine, workspace, job_id)
    planner.tick()
    kinds = ["schedule_overdue", "execution_stuck", "execution_unclaimed", "notification_overdue"]
    before = [_finds(kind) for kind in kinds]
    assert Sweeper(engine).tick() is False
    assert [_finds(kind) for kind in kinds] == before


@pytest.mark.parametrize("was_there", [True, False])
def test_a_sweep_counts_and_repairs_what_should_be_impossible(
    engine: Engine, workspace: Workspace, now: datetime, *, was_there: bool
) -> None:
    """What is overdue is no find of a scheduler that has just begun."""
    _hourly_job(engine, workspace, now, next_run_at=now - DAY)
    unclaimed, stuck = (_hourly_job(engine, workspace, now) for _ in range(2))
    for job_id in (unclaimed, stuck):
        _trigger(engine, workspace, job_id)
    _change(engine, "UPDATE executions SET dispatched_at = now() - interval '1 hour',"
                    " due_at = now() - interval '1 hour'")  # fmt: skip
    with engine.begin() as connection:
        factories.claim(
            connection,
            [row["id"] for row in factories.executions_of(engine, stuck)],
            worker_id=UUID(int=1),
            now=now - DAY,
        )
    with engine.begin() as connection:
        factories.fail(connection, workspace, unclaimed, now=clock.now())
    _change(engine, "UPDATE notifications SET due_at = due_at - interval '1 day'")
    kinds = ["schedule_overdue", "execution_stuck", "execution_unclaimed", "notification_overdue"]
    before = [_finds(kind) for kind in kinds]
    sweeper = Sweeper(engine)
    if was_there:
        sweeper._able_since -= PATIENCE.total_seconds()
    sweeper.tick()
    found = [_finds(kind) - old for kind, old in zip(kinds, before, strict=True)]
    assert found == ([1, 1, 1, 1] if was_there else [0, 1, 1, 0])
    for job_id in (unclaimed, stuck):
        row = factories.executions_of(engine, job_id)[0]
        assert (row["status"], row["dispatched_at"]) == ("queued", None)


def test_emails_that_wait_for_their_queue_are_no_find(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now)
    with engine.begin() as connection:
        factories.fail(connection, workspace, job_id, now=now - DAY)
    for is_held_up in (True, False):
        before = _finds("notification_overdue")
        sweeper = Sweeper(engine, are_mails_held_up=lambda: is_held_up)  # noqa: B023 - called here
        sweeper._able_since -= PATIENCE.total_seconds()
        sweeper.tick()
        assert (_finds("notification_overdue") == before) is is_held_up


def test_what_an_outage_held_up_is_no_find(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    _hourly_job(engine, workspace, now, next_run_at=now - DAY)
    url = engine.url.render_as_string(hide_password=False)
    sweeper = Sweeper(connect(url, name="test", lock_seconds=0.2))
    sweeper._able_since -= PATIENCE.total_seconds()
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE schedules"))
        with pytest.raises(OperationalError, match="lock timeout"):
            sweeper.tick()
    before = _finds("schedule_overdue")
    sweeper.tick()
    assert _finds("schedule_overdue") == before


def test_partitions_exist_for_the_days_around_today(engine: Engine, now: datetime) -> None:
    Pruner(engine, retention=30 * DAY).tick()
    with engine.connect() as connection:
        days = partitions.existing(connection)
    assert days == [now.date() + n * DAY for n in range(-1, 8)]


def test_history_past_its_retention_is_dropped_unless_it_waits_for_its_fate(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now)
    old = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in (5, 6)]
    with engine.begin() as connection:
        for moment in old:
            partitions.create(connection, moment.date())
        executions.add(
            connection,
            [
                Planned(ids.occurrence_id(job_id, at), workspace.id, job_id, "webhooks", at, None)
                for at in old
            ],
        )
    _change(engine, "UPDATE executions SET status = 'cancelled', reason = 'cancelled',"
                    " finished_at = due_at WHERE due_at < '2026-01-06'")  # fmt: skip
    Pruner(engine, retention=DAY).tick()
    with engine.connect() as connection:
        days = partitions.existing(connection)
    assert old[0].date() not in days
    assert old[1].date() in days
    assert [row["scheduled_for"] for row in factories.executions_of(engine, job_id)] == old[1:]


@pytest.mark.parametrize("years", [1, 20, -20])
def test_a_clock_that_jumps_by_years_drops_no_history(
    engine: Engine, now: datetime, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    pruner = Pruner(engine, retention=30 * DAY)
    lived = [now.date() - n * DAY for n in range(30)]
    with engine.begin() as connection:
        for day in lived:
            partitions.create(connection, day)
    start = now.replace(hour=12)
    for tick in range(12):
        wrong = start + years * 365 * DAY + tick * timedelta(minutes=1)
        monkeypatch.setattr(clock, "now", lambda wrong=wrong: wrong)
        pruner.tick()
    monkeypatch.undo()
    with engine.connect() as connection:
        left = set(lived) & set(partitions.existing(connection))
    # The wrong clock has brought two days of its own, and so the oldest one is past its turn.
    assert set(lived) - left <= {min(lived)}


def test_a_tick_drops_one_day_at_most(engine: Engine, now: datetime) -> None:
    with engine.begin() as connection:
        for age in range(10):
            partitions.create(connection, now.date() - age * DAY)
    pruner, counts = Pruner(engine, retention=2 * DAY), []
    for _ in range(3):
        pruner.tick()
        with engine.connect() as connection:
            counts.append(len(partitions.existing(connection)))
    assert counts == [16, 15, 14]


def _expirer(engine: Engine) -> Expirer:
    return Expirer(engine, retention=30 * DAY, audit_retention=90 * DAY)


def _left(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        query = select(func.count()).select_from(metadata.tables[table])
        return int(connection.execute(query).scalar_one())


def test_a_deleted_job_goes_after_its_retention_and_its_last_execution(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    Pruner(engine, retention=30 * DAY).create_partitions()
    old, recent, referred, live = (_hourly_job(engine, workspace, now) for _ in range(4))
    _trigger(engine, workspace, referred)
    with engine.begin() as connection:
        for job_id, days in ((old, 31), (recent, 29), (referred, 31)):
            connection.execute(
                text("UPDATE jobs SET deleted_at = :at WHERE id = :id"),
                {"at": now - days * DAY, "id": job_id},
            )
    assert _expirer(engine).tick() is False
    with engine.connect() as connection:
        left = set(connection.execute(text("SELECT id FROM jobs")).scalars())
        with_schedule = set(connection.execute(text("SELECT job_id FROM schedules")).scalars())
    assert left == with_schedule == {recent, referred, live}
    _change(engine, "DELETE FROM executions")
    _expirer(engine).tick()
    assert _left(engine, "jobs") == 2


def test_a_removed_job_gives_nothing_back_again(
    engine: Engine, workspace: Workspace, now: datetime, settings: Settings
) -> None:
    _hourly_job(engine, workspace, now)
    with engine.begin() as connection:
        held = {JOBS: 3, JOB_BYTES: 500}
        quotas.spend(connection, workspace.id, held, settings=settings, now=now)
    _change(engine, "UPDATE jobs SET deleted_at = now() - interval '31 days'")
    _expirer(engine).tick()
    assert _left(engine, "jobs") == 0
    with engine.connect() as connection:
        uses = quotas.of_workspace(connection, workspace.id, settings=settings, now=now)
    assert {use.quota: use.used for use in uses if use.quota in held} == held


def test_the_audit_log_is_kept_for_its_own_time_and_removed_in_batches(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    for days, entries in ((91, BATCH + 1), (89, 2)):
        with engine.begin() as connection:
            audit.append(
                connection,
                workspace_id=workspace.id,
                user_id=None,
                action="job.create",
                subject_type="job",
                details={uuid4(): {} for _ in range(entries)},
                now=now - days * DAY,
            )
    expirer = _expirer(engine)
    assert (expirer.tick(), _left(engine, "audit_log")) == (True, 3)
    assert (expirer.tick(), _left(engine, "audit_log")) == (False, 2)


def test_a_clock_that_jumps_removes_no_entry_and_no_deleted_job(
    engine: Engine, workspace: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hourly_job(engine, workspace, now)
    _change(engine, "UPDATE jobs SET deleted_at = now() - interval '1 day'")
    with engine.begin() as connection:
        for age in range(10):
            partitions.create(connection, now.date() - age * DAY)
        audit.append(
            connection,
            workspace_id=workspace.id,
            user_id=None,
            action="job.create",
            subject_type="job",
            details={uuid4(): {}},
            now=now - 20 * DAY,
        )
    monkeypatch.setattr(clock, "now", lambda: now + 3650 * DAY)
    _expirer(engine).tick()
    assert (_left(engine, "jobs"), _left(engine, "audit_log")) == (1, 1)


def test_days_that_were_lived_through_are_dropped_in_their_turn() -> None:
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    days = [now.date() - n * DAY for n in range(-7, 40)]
    assert oldest_kept(days, retention=30 * DAY, now=now) == datetime(2026, 3, 1, tzinfo=UTC)
    assert oldest_kept([], retention=30 * DAY, now=now) == now - 30 * DAY
    later = now + 365 * DAY
    assert oldest_kept(days, retention=30 * DAY, now=later) < now


def test_schedulers_that_start_together_leave_no_day_to_each_other(
    engine: Engine, now: datetime
) -> None:
    """Fails if one that finds another at it goes on to the next day, as the other does then.

    Fails too if it does not look again at what the other made meanwhile.
    """
    pruner = Pruner(engine, retention=30 * DAY)
    with ThreadPoolExecutor() as thread:
        with engine.begin() as connection:
            partitions.lock(connection)
            creation = thread.submit(pruner.create_partitions)
            wait_until(lambda: _is_somebody_waiting(engine, for_a="advisory"))
            partitions.create(connection, now.date())
        creation.result()
    with engine.connect() as connection:
        assert partitions.existing(connection) == [now.date() + n * DAY for n in range(-1, 8)]


def _is_somebody_waiting(engine: Engine, *, for_a: str) -> bool:
    with engine.connect() as connection:
        query = text(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND l.locktype = :kind AND NOT l.granted"
        )
        return bool(connection.execute(query, {"kind": for_a}).scalar_one())


def test_a_row_that_comes_while_its_partition_is_made_is_waited_for(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    """Fails if the default partition is not locked before it is looked at."""
    job_id = _hourly_job(engine, workspace, now)

    def create() -> bool:
        with engine.begin() as connection:
            return partitions.create(connection, now.date())

    with ThreadPoolExecutor() as thread:
        with engine.begin() as connection:
            factories.trigger(
                connection, workspace_id=workspace.id, job_id=job_id, queue="webhooks", now=now
            )
            creation = thread.submit(create)
            wait_until(lambda: _is_somebody_waiting(engine, for_a="relation"))
        assert creation.result() is False


def test_a_day_whose_rows_lie_in_the_default_partition_stays_there(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    """Rows that moved would be missed by statements under way: their outcomes would be lost."""
    job_id = _hourly_job(engine, workspace, now)
    identifier = _trigger(engine, workspace, job_id)
    Pruner(engine, retention=30 * DAY).tick()
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id FROM ONLY executions_default"))
        assert list(rows.scalars()) == [identifier]
        days = partitions.existing(connection)
    assert days == [now.date() + n * DAY for n in range(-1, 8) if n]


def test_a_job_is_completed_when_nothing_is_left_to_come_or_to_finish(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now, next_run_at=now, max_runs=1)
    completer = Completer(engine)
    completer.tick()
    planner.tick()
    completer.tick()
    assert factories.job_status(engine, job_id) == "active"
    _change(engine, "UPDATE executions SET status = 'succeeded', started_at = now(),"
                    " finished_at = now()")  # fmt: skip
    completer.tick()
    assert factories.job_status(engine, job_id) == "completed"


def test_a_notification_is_published_and_comes_back_until_it_is_sent(
    engine: Engine, workspace: Workspace, broker: Broker, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now)
    with engine.begin() as connection:
        factories.fail(connection, workspace, job_id, now=now)
    notifier = Notifier(engine, broker, max_queued=timedelta(hours=1))
    notifier.tick()
    notifier.tick()
    assert broker.depths()["notifications"] == 1
    _change(engine, "UPDATE notifications SET due_at = now()")
    notifier.tick()
    assert broker.depths()["notifications"] == 2
    # While messages wait for long, or Redis is away, it waits in PostgreSQL, and is not tried.
    _change(engine, "UPDATE notifications SET due_at = now()")
    away = Broker("redis://127.0.0.1:1/0")
    for each in (broker, away):
        assert Notifier(engine, each, max_queued=timedelta(0)).tick() is False
    away.close()
    assert broker.depths()["notifications"] == 2
    with engine.connect() as connection:
        assert connection.execute(text("SELECT attempts FROM notifications")).scalar_one() == 2


def test_nobody_is_told_when_a_job_wants_nobody_told(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    job_id = _hourly_job(engine, workspace, now, notify=())
    with engine.begin() as connection:
        factories.fail(connection, workspace, job_id, now=now)
        assert connection.execute(text("SELECT count(*) FROM notifications")).scalar_one() == 0

"""Plan: every due occurrence becomes exactly one execution."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

import factories
from chronos_common import clock, ids
from chronos_common.broker import Broker
from chronos_common.domain.schedules.misfires import MAX_COUNT, MisfirePolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_scheduler import plan
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.plan import Planner
from factories import StoreJob, Workspace

SECOND = timedelta(seconds=1)


def test_an_occurrence_within_the_lookahead_is_queued_and_published(
    a_job: StoreJob, engine: Engine, planner: Planner, broker: Broker, now: datetime
) -> None:
    job_id = a_job(next_run_at=now)
    planner.tick()
    [execution] = factories.executions_of(engine, job_id)
    assert execution["id"] == ids.occurrence_id(job_id, now)
    assert (execution["status"], execution["scheduled_for"]) == ("queued", now)
    assert broker.depths()["webhooks"] == 1
    planner.tick()
    assert len(factories.executions_of(engine, job_id)) == 1


def test_a_job_of_a_type_that_another_release_stored_is_planned_for_a_worker_to_fail(
    engine: Engine, workspace: Workspace, planner: Planner, broker: Broker, now: datetime
) -> None:
    every_hour = factories.every(3600, anchor=now)
    with engine.begin() as connection:
        job_id = factories.job(
            connection, workspace, every_hour, now=now, next_run_at=now, type="fax"
        )
    planner.tick()
    [execution] = factories.executions_of(engine, job_id)
    assert (execution["status"], execution["queue"]) == ("queued", "webhooks")
    assert broker.depths()["webhooks"] == 1


def test_what_is_due_later_is_left(a_job: StoreJob, engine: Engine, planner: Planner) -> None:
    job_id = a_job(next_run_at=clock.now() + 30 * SECOND)
    planner.tick()
    assert factories.executions_of(engine, job_id) == []


def test_planners_side_by_side_neither_miss_nor_double_an_occurrence(
    a_job: StoreJob, engine: Engine, dispatcher: Dispatcher, now: datetime
) -> None:
    start = now - 20 * SECOND
    jobs = [a_job(factories.every(1, anchor=start), next_run_at=start) for _ in range(30)]
    planners = [Planner(engine, dispatcher, lookahead=SECOND, batch=7) for _ in range(4)]

    def plan_until(planner: Planner) -> None:
        while planner.tick() or _is_behind(engine):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(plan_until, planners))
    for job_id in jobs:
        instants = [each["scheduled_for"] for each in factories.executions_of(engine, job_id)]
        assert instants == [start + n * SECOND for n in range(len(instants))]
        assert instants[-1] >= now


def _is_behind(engine: Engine) -> bool:
    with engine.connect() as connection:
        oldest = connection.execute(text("SELECT min(next_run_at) FROM schedules")).scalar_one()
        return bool(oldest <= clock.now() - SECOND)


def test_max_runs_ends_the_schedule(
    a_job: StoreJob, engine: Engine, planner: Planner, now: datetime
) -> None:
    job_id = a_job(
        factories.every(1, anchor=now - 10 * SECOND), next_run_at=now - 10 * SECOND, max_runs=3
    )
    for _ in range(5):
        planner.tick()
    assert len(factories.executions_of(engine, job_id)) == 3
    with engine.connect() as connection:
        next_run_at = connection.execute(text("SELECT next_run_at FROM schedules")).scalar_one()
    assert next_run_at is None


def test_a_job_in_shadow_records_its_instants_and_sends_nothing(
    a_job: StoreJob, engine: Engine, planner: Planner, broker: Broker, now: datetime
) -> None:
    start = now - 2 * SECOND
    job_id = a_job(factories.every(1, anchor=start), next_run_at=start, max_runs=3, shadow=True)
    for _ in range(5):
        planner.tick()
    found = factories.executions_of(engine, job_id)
    assert [each["scheduled_for"] for each in found] == [start + n * SECOND for n in range(3)]
    assert {(each["status"], each["reason"]) for each in found} == {("skipped", "shadow")}
    assert {each["id"] for each in found} == {
        ids.occurrence_id(job_id, each["scheduled_for"]) for each in found
    }
    assert broker.depths()["webhooks"] == 0


def test_long_missed_occurrences_become_one_run_and_one_row_that_says_so(
    a_job: StoreJob, engine: Engine, planner: Planner, now: datetime
) -> None:
    start = now - timedelta(hours=2, seconds=300)
    job_id = a_job(factories.every(600, anchor=start), next_run_at=start, misfire_grace_seconds=1)
    planner.tick()
    skipped, run = factories.executions_of(engine, job_id)
    assert (skipped["status"], skipped["reason"]) == ("skipped", "misfire")
    assert skipped["scheduled_for"] == start
    assert run["status"] == "queued"
    assert run["scheduled_for"] == start + skipped["missed_count"] * timedelta(seconds=600)
    assert skipped["missed_until"] == run["scheduled_for"] - timedelta(seconds=600)


def test_occurrences_missed_in_a_pause_are_skipped_with_that_reason(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime
) -> None:
    start = now - timedelta(hours=1)
    with engine.begin() as connection:
        job_id = factories.job(
            connection,
            workspace,
            factories.every(600, anchor=start),
            now=now,
            next_run_at=start,
            misfire_policy=MisfirePolicy.SKIP,
            misfire_grace_seconds=1,
        )
        connection.execute(text("UPDATE schedules SET resumed_at = :now"), {"now": now + SECOND})
    planner.tick()
    assert {each["reason"] for each in factories.executions_of(engine, job_id)} == {"paused"}


def test_a_short_pause_is_not_caught_up_within_the_grace(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime
) -> None:
    start = now - 10 * SECOND
    with engine.begin() as connection:
        job_id = factories.job(
            connection,
            workspace,
            factories.every(1, anchor=start),
            now=now,
            next_run_at=start,
            misfire_policy=MisfirePolicy.SKIP,
        )
        connection.execute(text("UPDATE schedules SET resumed_at = :now"), {"now": now})
    planner.tick()
    skipped, *rest = factories.executions_of(engine, job_id)
    assert (skipped["reason"], skipped["missed_count"]) == ("paused", 10)
    assert all(each["scheduled_for"] >= now for each in rest)


def test_missed_occurrences_beyond_counting_are_one_row_that_says_at_least(
    a_job: StoreJob, engine: Engine, planner: Planner, now: datetime
) -> None:
    cron = Schedule(kind=ScheduleKind.CRON, expression="* * * * * *", timezone="UTC")
    job_id = a_job(cron, next_run_at=now - timedelta(days=3), misfire_grace_seconds=0)
    planner.tick()
    skipped, run = factories.executions_of(engine, job_id)
    assert skipped["missed_count"] >= MAX_COUNT
    assert skipped["error"] == f"At least {skipped['missed_count']:,} occurrences were missed."
    assert run["status"] == "queued"


def test_a_schedule_that_cannot_be_followed_fails_its_job_and_nobody_elses(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime
) -> None:
    cron = Schedule(kind=ScheduleKind.CRON, expression="0 0 29 2 *", timezone="UTC")
    with engine.begin() as connection:
        bad_cron = factories.job(connection, workspace, cron, now=now, next_run_at=now)
        bad_zone = factories.job(connection, workspace, cron, now=now, next_run_at=now)
        healthy = factories.job(connection, workspace, cron, now=now, next_run_at=now)
        for job_id, change in ((bad_cron, "expression = 'x'"), (bad_zone, "timezone = 'x'")):
            connection.execute(
                text(f"UPDATE schedules SET {change} WHERE job_id = :id"),  # noqa: S608 - ours
                {"id": job_id},
            )
    planner.tick()
    planner.tick()
    for job_id in (bad_cron, bad_zone):
        [failure] = factories.executions_of(engine, job_id)
        assert (failure["status"], failure["reason"]) == ("failed", "invalid")
        assert factories.job_status(engine, job_id) == "paused"
    assert [each["status"] for each in factories.executions_of(engine, healthy)] == ["queued"]
    with engine.connect() as connection:
        told = connection.execute(text("SELECT recipients FROM notifications")).scalars().all()
    assert told == [[factories.OWNER_EMAIL]] * 2


def test_an_occurrence_that_exists_already_is_not_planned_twice(
    a_job: StoreJob, engine: Engine, planner: Planner, broker: Broker, now: datetime
) -> None:
    job_id = a_job(next_run_at=now)
    planner.tick()
    with engine.begin() as connection:
        connection.execute(text("UPDATE schedules SET next_run_at = :now"), {"now": now})
    planner.tick()
    assert len(factories.executions_of(engine, job_id)) == 1
    assert broker.depths()["webhooks"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        "jitter_seconds = 1e300",
        "jitter_seconds = 'NaN'",
        "misfire_grace_seconds = 1e300",
        "misfire_grace_seconds = 'NaN'",
        "interval_seconds = 0",
        "kind = 'cron', interval_seconds = NULL, expression = 'never'",
        "next_run_at = '1960-01-01'",
    ],
)
def test_a_damaged_schedule_is_its_own_jobs_failure(
    engine: Engine, workspace: Workspace, planner: Planner, now: datetime, damage: str
) -> None:
    with engine.begin() as connection:
        damaged, sound = (
            factories.job(
                connection, workspace, factories.every(3600, anchor=now), now=now, next_run_at=now
            )
            for _ in range(2)
        )
        connection.execute(
            text(f"UPDATE schedules SET {damage} WHERE job_id = :id"),  # noqa: S608 - constants
            {"id": damaged},
        )
    planner.tick()
    [planned] = factories.executions_of(engine, sound)
    assert planned["status"] == "queued"
    [failed] = factories.executions_of(engine, damaged)
    assert (failed["status"], failed["reason"]) == ("failed", "invalid")
    assert factories.job_status(engine, damaged) == "paused"


def test_a_long_outage_is_made_up_for_between_what_is_due_now(
    engine: Engine,
    workspace: Workspace,
    planner: Planner,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every schedule takes longer than this; by the usual one a fast machine may get to all.
    monkeypatch.setattr(plan, "BUDGET_SECONDS", 0)
    long_ago = now - timedelta(hours=2)
    with engine.begin() as connection:
        late = [
            factories.job(
                connection,
                workspace,
                Schedule(kind=ScheduleKind.CRON, expression="* * * * * *"),
                now=now,
                next_run_at=long_ago,
            )
            for _ in range(30)
        ]
        prompt = factories.job(
            connection, workspace, factories.every(3600, anchor=now), now=now, next_run_at=now
        )
    assert planner.tick()
    assert len(factories.executions_of(engine, prompt)) == 1
    assert any(not factories.executions_of(engine, job_id) for job_id in late)
    for _ in range(300):
        if not planner.tick():
            break
    assert all(factories.executions_of(engine, job_id) for job_id in late)


def test_a_tick_comes_to_a_bounded_number_of_executions(
    a_job: StoreJob,
    engine: Engine,
    planner: Planner,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two transactions of a tick come to one job each: the earliest, and its workspace's turn.
    monkeypatch.setattr(plan, "BUDGET_EXECUTIONS", 50)
    late = [
        a_job(
            factories.every(1, anchor=now - timedelta(seconds=100)),
            next_run_at=now - timedelta(seconds=99),
            misfire_policy=MisfirePolicy.RUN_ALL,
        )
        for _ in range(4)
    ]
    assert planner.tick()
    assert sum(bool(factories.executions_of(engine, job_id)) for job_id in late) == 2
    planner.tick()
    assert all(len(factories.executions_of(engine, job_id)) >= 99 for job_id in late)


@pytest.mark.parametrize("column", ["next_run_at", "anchor", "starts_at", "ends_at", "resumed_at"])
@pytest.mark.parametrize("instant", ["infinity", "10000-01-01", "0044-03-15 BC"])
def test_an_instant_that_python_cannot_hold_is_not_stored(
    a_job: StoreJob, engine: Engine, now: datetime, column: str, instant: str
) -> None:
    a_job(factories.every(60, anchor=now))
    with pytest.raises(IntegrityError, match=column), engine.begin() as connection:
        connection.execute(text(f"UPDATE schedules SET {column} = '{instant}'"))  # noqa: S608 - ours

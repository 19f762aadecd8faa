"""Changed rules of time zones: what is stored moves once, before anybody plans it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, event, select, text

import factories
import zone_rules as rules
from chronos_common import clock, failpoints
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.timezones import files as zone_files
from chronos_common.storage import zone_rules as storage
from chronos_common.storage.tables import audit_log, schedules
from chronos_scheduler import zone_rules
from chronos_scheduler.plan import Planner
from chronos_scheduler.zone_rules import ZoneRules
from factories import Workspace
from rigs import wait_until
from zone_rules import Exchange

ZONE, OTHER = "Africa/Abidjan", "Africa/Accra"
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=each) for each in (1, 60, 3600, 86_400))


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What gives a zone other rules; at first, both zones are those of UTC."""
    put = rules.exchange(monkeypatch)
    put(ZONE, rules.zone_file(timedelta(0)))
    put(OTHER, rules.zone_file(timedelta(0), [(datetime(1999, 1, 1, tzinfo=UTC), timedelta(0))]))
    yield put
    monkeypatch.undo()
    rules.forget()


def mover(engine: Engine) -> ZoneRules:
    return ZoneRules(engine, lookahead=SECOND)


def daily(at: datetime, *, timezone: str = ZONE) -> Schedule:
    """Return the schedule of every day at the time of ``at``, as its zone shows it in UTC."""
    return Schedule(ScheduleKind.CRON, f"{at.second} {at.minute} {at.hour} * * *", timezone)


def store(engine: Engine, workspace: Workspace, schedule: Schedule, **fields: Any) -> UUID:
    with engine.begin() as connection:
        return factories.job(connection, workspace, schedule, **{"now": clock.now(), **fields})


def stored(engine: Engine, job_id: UUID) -> RowMapping:
    with engine.connect() as connection:
        query = select(schedules).where(schedules.c.job_id == job_id)
        return connection.execute(query).mappings().one()


def entries(engine: Engine) -> list[RowMapping]:
    with engine.connect() as connection:
        query = select(audit_log).where(audit_log.c.action == storage.ACTION)
        return list(connection.execute(query.order_by(audit_log.c.id)).mappings())


def instants(engine: Engine, job_id: UUID) -> list[datetime]:
    return [each["scheduled_for"] for each in factories.executions_of(engine, job_id)]


def soon() -> datetime:
    return clock.now().replace(microsecond=0) + 10 * MINUTE


def test_a_reading_runs_once_on_the_day_of_the_change(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    """The example of the fault: 09:29 is two minutes later by the new rules."""
    mover(engine).adopt()
    due = clock.now().replace(microsecond=0) - MINUTE
    job_id = store(engine, workspace, daily(due), next_run_at=due)
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    planner.tick()
    assert instants(engine, job_id) == []
    assert stored(engine, job_id)["next_run_at"] == due + 2 * MINUTE
    # Two minutes later, it is due.
    with engine.begin() as connection:
        connection.execute(text("UPDATE schedules SET next_run_at = next_run_at - interval '1d'"))
    planner.tick()
    assert instants(engine, job_id) == [due + 2 * MINUTE - DAY]
    assert stored(engine, job_id)["next_run_at"] == due + 2 * MINUTE


def test_what_has_run_today_is_due_tomorrow(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    mover(engine).adopt()
    due = clock.now().replace(microsecond=0)
    job_id = store(engine, workspace, daily(due), next_run_at=due)
    planner.tick()
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    planner.tick()
    assert instants(engine, job_id) == [due]
    assert stored(engine, job_id)["next_run_at"] == due + DAY + 2 * MINUTE


def test_instants_that_new_rules_put_into_the_past_are_missed(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    mover(engine).adopt()
    at = soon()
    job_id = store(engine, workspace, daily(at), next_run_at=at)
    exchange(ZONE, rules.zone_file(HOUR))
    mover(engine).adopt()
    planner.tick()
    assert instants(engine, job_id) == [at - HOUR]
    assert stored(engine, job_id)["next_run_at"] == at - HOUR + DAY


def test_the_audit_log_says_which_jobs_moved_and_from_where(
    engine: Engine, workspace: Workspace, exchange: Exchange
) -> None:
    mover(engine).adopt()
    at = soon()
    moved = store(engine, workspace, daily(at))
    store(engine, workspace, daily(at, timezone=OTHER))
    store(engine, workspace, Schedule(ScheduleKind.CRON, "* * * * *", ZONE))
    store(engine, workspace, factories.every(60, anchor=at))
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    [entry] = entries(engine)
    assert (entry["subject_id"], entry["workspace_id"]) == (moved, workspace.id)
    assert (entry["subject_type"], entry["user_id"]) == ("job", None)
    assert entry["details"] == {
        "name": "Ping",
        "timezone": ZONE,
        "before": {
            "next_run_at": clock.rfc3339(at),
            "timezone_database": zone_files.VERSION,
        },
        "after": {
            "next_run_at": clock.rfc3339(at + 2 * MINUTE),
            "timezone_database": zone_files.VERSION,
        },
    }


def test_paused_jobs_move_and_removed_ones_do_not(
    engine: Engine, workspace: Workspace, exchange: Exchange
) -> None:
    mover(engine).adopt()
    at = soon()
    paused, removed = (store(engine, workspace, daily(at)) for _ in range(2))
    with engine.begin() as connection:
        connection.execute(text("UPDATE schedules SET active = false"))
        connection.execute(
            text("UPDATE jobs SET deleted_at = now() WHERE id = :id"), {"id": removed}
        )
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    assert stored(engine, paused)["next_run_at"] == at + 2 * MINUTE
    assert stored(engine, removed)["next_run_at"] == at


@pytest.mark.usefixtures("exchange")
def test_an_unchanged_database_costs_one_small_query(engine: Engine, workspace: Workspace) -> None:
    mover(engine).adopt()
    store(engine, workspace, daily(soon()))
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *each: seen.append(each[2]))
    mover(engine).adopt()
    assert len(seen) == 1
    assert "FROM zone_databases" in seen[0]
    assert entries(engine) == []


@pytest.fixture
def many(engine: Engine, workspace: Workspace, exchange: Exchange) -> tuple[datetime, list[UUID]]:
    """Many jobs at one instant, each of which is to move by two minutes."""
    mover(engine).adopt()
    at = soon()
    jobs = [store(engine, workspace, daily(at)) for _ in range(25)]
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    return at, jobs


def all_moved_once(engine: Engine, at: datetime, jobs: list[UUID]) -> bool:
    where = {stored(engine, each)["next_run_at"] for each in jobs}
    noted = sorted(each["subject_id"] for each in entries(engine))
    return where == {at + 2 * MINUTE} and noted == sorted(jobs)


class _Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_scheduler_that_dies_between_pages_moves_nothing_twice_and_leaves_nothing(
    engine: Engine,
    many: tuple[datetime, list[UUID]],
    monkeypatch: pytest.MonkeyPatch,
    pages: int,
) -> None:
    """Fails if the database is adopted before the last page, or the mark is not written."""
    monkeypatch.setattr(zone_rules, "PAGE", 10)
    left = iter(range(pages - 1))

    def die(point: str) -> None:
        if point == "zone_rules.page" and next(left, None) is None:
            raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "hit", die)
        with pytest.raises(_Killed):
            mover(engine).adopt()
    mover(engine).adopt()
    mover(engine).adopt()
    assert all_moved_once(engine, *many)


def test_a_change_during_an_unfinished_one_is_read_by_the_rules_of_each_row(
    engine: Engine,
    many: tuple[datetime, list[UUID]],
    exchange: Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten jobs have moved by two minutes when the next release moves all of them by five."""
    at, jobs = many
    monkeypatch.setattr(zone_rules, "PAGE", 10)

    def die(point: str) -> None:
        if point == "zone_rules.page":
            raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "hit", die)
        with pytest.raises(_Killed):
            mover(engine).adopt()
    exchange(ZONE, rules.zone_file(-5 * MINUTE))
    mover(engine).adopt()
    assert {stored(engine, each)["next_run_at"] for each in jobs} == {at + 5 * MINUTE}


def test_schedulers_that_start_at_once_move_each_job_once(
    engine: Engine, many: tuple[datetime, list[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_rules, "PAGE", 3)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: mover(engine).adopt(), range(4)))
    assert all_moved_once(engine, *many)


@pytest.mark.usefixtures("exchange")
def test_before_the_first_start_the_systems_rules_were_followed(
    engine: Engine, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = soon()
    by_system = store(engine, workspace, daily(at), next_run_at=at + HOUR)
    by_package = store(engine, workspace, daily(at, timezone=OTHER))
    with engine.begin() as connection:
        connection.execute(text("UPDATE schedules SET zone_rules = NULL"))
    # By the system's rules the clock showed an hour less.
    files = {ZONE: rules.zone_file(-HOUR)}
    monkeypatch.setattr(zone_files, "of_system", files.get)
    mover(engine).adopt()
    assert stored(engine, by_system)["next_run_at"] == at
    assert stored(engine, by_package)["next_run_at"] == at
    [entry] = entries(engine)
    assert entry["details"]["before"]["timezone_database"] == "the system's"
    mover(engine).adopt()
    assert stored(engine, by_system)["next_run_at"] == at


def test_what_the_new_release_stored_before_its_scheduler_started_stays(
    engine: Engine, workspace: Workspace, exchange: Exchange
) -> None:
    """Fails if the database that was adopted last is taken for that of every row."""
    mover(engine).adopt()
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    schedule = Schedule(ScheduleKind.CRON, "*/2 9 * * *", ZONE)
    job_id = store(engine, workspace, schedule)
    before = stored(engine, job_id)["next_run_at"]
    mover(engine).adopt()
    assert stored(engine, job_id)["next_run_at"] == before


def test_what_an_older_api_stores_afterwards_moves_before_it_is_planned(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    mover(engine).adopt()
    due = clock.now().replace(microsecond=0)
    job_id = store(engine, workspace, daily(due), next_run_at=due)
    mark = stored(engine, job_id)["zone_rules"]
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    with engine.begin() as connection:
        connection.execute(
            schedules.update().values(next_run_at=due, zone_rules=mark)  # as the older API does
        )
    planner.tick()
    assert instants(engine, job_id) == []
    assert stored(engine, job_id)["next_run_at"] == due + 2 * MINUTE


def test_an_older_scheduler_leaves_what_it_does_not_understand_to_the_newer_one(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    mover(engine).adopt()
    due = clock.now().replace(microsecond=0)
    theirs, common = (
        store(engine, workspace, daily(due, timezone=each), next_run_at=due)
        for each in (ZONE, OTHER)
    )
    exchange(ZONE, rules.zone_file(timedelta(0), [(due - DAY, timedelta(0))]))
    mover(engine).adopt()
    exchange(ZONE, rules.zone_file(timedelta(0)))
    planner.tick()
    assert (instants(engine, theirs), instants(engine, common)) == ([], [due])
    assert stored(engine, theirs)["next_run_at"] == due


def test_a_schedule_that_cannot_be_followed_stops_nobody(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    mover(engine).adopt()
    at = soon()
    broken, sound = (store(engine, workspace, daily(at)) for _ in range(2))
    with engine.begin() as connection:
        connection.execute(
            schedules.update()
            .where(schedules.c.job_id == broken)
            .values(expression="not one", next_run_at=clock.now())
        )
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    mover(engine).adopt()
    assert stored(engine, sound)["next_run_at"] == at + 2 * MINUTE
    planner.tick()
    assert factories.job_status(engine, broken) == "paused"


def test_old_databases_are_forgotten_but_for_the_last_ones(
    engine: Engine, exchange: Exchange
) -> None:
    for minutes in range(7):
        exchange(ZONE, rules.zone_file(minutes * MINUTE))
        mover(engine).adopt()
    with engine.connect() as connection:
        assert len(storage.archives(connection)) == storage.KEPT
        current = storage.adopted(connection)
    assert current is not None
    assert current.digest == zone_files.digest()


def test_an_archive_holds_every_zone() -> None:
    files = zone_files.unpacked(zone_files.archive())
    for name in zone_files.names():
        assert files[zone_files.mark(name)] == zone_files.content(name)


def test_what_a_newer_api_stores_runs_when_it_said(
    engine: Engine, workspace: Workspace, planner: Planner, exchange: Exchange
) -> None:
    """The scheduler does not know these rules yet; the occurrence must not be lost for that."""
    mover(engine).adopt()
    due = clock.now().replace(microsecond=0)
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    job_id = store(engine, workspace, daily(due), next_run_at=due)
    exchange(ZONE, rules.zone_file(timedelta(0)))
    planner.tick()
    planner.tick()
    assert instants(engine, job_id) == [due]


def test_a_plan_under_way_is_waited_for(
    engine: Engine, workspace: Workspace, exchange: Exchange
) -> None:
    """Fails if the mover reads the row before it has the lock."""
    mover(engine).adopt()
    at = soon()
    job_id = store(engine, workspace, daily(at))
    exchange(ZONE, rules.zone_file(-2 * MINUTE))
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as planning:
            planning.execute(schedules.update().values(next_run_at=at + DAY))
            moving = pool.submit(mover(engine).adopt)
            wait_until(lambda: _somebody_waits(engine), within=5)
        moving.result(timeout=10)
    assert stored(engine, job_id)["next_run_at"] == at + DAY + 2 * MINUTE


def _somebody_waits(engine: Engine) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql(query).scalar_one())

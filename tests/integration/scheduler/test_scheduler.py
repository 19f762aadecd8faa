"""The scheduler as a whole, from its start."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

import factories
import zone_rules
from chronos_common import settings
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.domain.timezones import files
from chronos_common.storage import health
from chronos_common.storage import zone_rules as storage
from chronos_common.storage.executions import partitions
from chronos_scheduler.service import Scheduler
from factories import Workspace
from rigs import wait_until

HOUR = timedelta(hours=1)


@pytest.fixture
def scheduler(
    engine: Engine,
    redis_url: str,
    workspace: Workspace,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> Scheduler:
    """A scheduler with jobs that are due every second, before its start."""
    monkeypatch.setenv("CHRONOS_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("CHRONOS_REDIS_URL", redis_url)
    monkeypatch.setenv("CHRONOS_SECRET_KEY", "x" * 32)
    with engine.begin() as connection:
        for _ in range(20):
            schedule = factories.every(1, anchor=now)
            factories.job(connection, workspace, schedule, now=now, next_run_at=now)
    return Scheduler(settings.load())


def _wait_until_planned(engine: Engine) -> None:
    def planned() -> bool:
        with engine.connect() as connection:
            query = text("SELECT count(DISTINCT scheduled_for) FROM executions")
            return bool(connection.execute(query).scalar_one() >= 2)

    wait_until(planned)


def test_the_first_rows_of_a_day_find_its_partition(
    engine: Engine, scheduler: Scheduler, now: datetime
) -> None:
    """Fails if plan begins while the partitions are made: the day would have none."""
    scheduler.run(wait=lambda: _wait_until_planned(engine))
    with engine.connect() as connection:
        assert health.strays(connection, since=now - HOUR) == 0


def test_what_other_rules_computed_moves_before_anything_is_planned(
    engine: Engine, scheduler: Scheduler, workspace: Workspace, now: datetime
) -> None:
    """Fails if the loops start before the time zone database is adopted."""
    due = now.replace(microsecond=0)
    schedule = Schedule(ScheduleKind.CRON, f"{due.second} {due.minute} {due.hour} * * *", "UTC")
    with engine.begin() as connection:
        job_id = factories.job(connection, workspace, schedule, now=now, next_run_at=due - HOUR)
        hour_ahead = zone_rules.zone_file(HOUR)
        connection.execute(
            text("UPDATE schedules SET zone_rules = :mark WHERE job_id = :id"),
            {"mark": files.mark_of(hour_ahead), "id": job_id},
        )
        packed = files.packed([hour_ahead])
        storage.store(connection, "former", version="2019a", archive=packed)
        storage.adopt(connection, "former", now=now)
    scheduler.run(wait=lambda: _wait_until_planned(engine))
    instants = [each["scheduled_for"] for each in factories.executions_of(engine, job_id)]
    assert instants == [due]


def test_partitions_that_cannot_be_made_do_not_stop_it(
    engine: Engine, scheduler: Scheduler
) -> None:
    with engine.begin() as connection:
        partitions.lock(connection)
        scheduler.run(wait=lambda: _wait_until_planned(engine))

"""A clock that was wrong for a moment silences no schedule."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import metrics
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.storage.jobs.schedules import find
from chronos_scheduler import sweep
from chronos_scheduler.sweep import MARGIN, SilentSchedules, Sweeper
from factories import Workspace

YEARS = timedelta(days=3650)


def _job(
    engine: Engine, workspace: Workspace, schedule: Schedule, now: datetime, next_run_at: datetime
) -> UUID:
    with engine.begin() as connection:
        return factories.job(connection, workspace, schedule, now=now, next_run_at=next_run_at)


def _mend(engine: Engine, silent: SilentSchedules, now: datetime) -> int:
    with engine.begin() as connection:
        return silent.mend(connection, now=now)


def _next_run_at(engine: Engine, job_id: UUID) -> datetime:
    query = text("SELECT next_run_at FROM schedules WHERE job_id = :id")
    with engine.connect() as connection:
        found: datetime = connection.execute(query, {"id": job_id}).scalar_one()
    return found


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), YEARS], ids=["minutes", "years"])
def test_a_schedule_that_a_wrong_clock_moved_runs_at_its_own_next_instant(
    engine: Engine, workspace: Workspace, now: datetime, ahead: timedelta
) -> None:
    schedule = factories.every(60, anchor=now)
    job_id = _job(engine, workspace, schedule, now, now + ahead)
    assert _mend(engine, SilentSchedules(), now) == 1
    with engine.connect() as connection:
        stored = find(connection, job_id)
    assert stored
    assert _next_run_at(engine, job_id) == stored.first_at_or_after(now + MARGIN)
    assert _mend(engine, SilentSchedules(), now) == 0


def test_a_schedule_that_waits_for_its_own_instant_is_no_find(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    later = now + timedelta(days=30)
    _job(engine, workspace, factories.every(3600, anchor=later), now, later)
    _job(engine, workspace, factories.every(60, anchor=now), now, now + timedelta(minutes=1))
    assert _mend(engine, SilentSchedules(), now) == 0


def test_every_schedule_has_its_turn(
    engine: Engine, workspace: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 2)
    schedule = factories.every(60, anchor=now)
    for _ in range(5):
        _job(engine, workspace, schedule, now, now + YEARS)
    silent = SilentSchedules()
    assert [_mend(engine, silent, now) for _ in range(4)] == [2, 2, 1, 0]


def test_the_sweep_mends_and_counts_them(
    engine: Engine, workspace: Workspace, now: datetime
) -> None:
    finds = metrics.SWEEP_FINDS.labels("schedule_silent")
    before = finds._value.get()
    job_id = _job(engine, workspace, factories.every(60, anchor=now), now, now + YEARS)
    Sweeper(engine).tick()
    assert finds._value.get() == before + 1
    assert _next_run_at(engine, job_id) < now + YEARS

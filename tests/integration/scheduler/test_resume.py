"""A pause ends by itself."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

from sqlalchemy import Engine, select

from chronos_common import clock
from chronos_common.domain.jobs import Pause
from chronos_common.quotas import RUNS_PER_DAY
from chronos_common.storage import quotas
from chronos_common.storage.jobs import jobs as jobs_storage
from chronos_common.storage.jobs import schedules as schedules_storage
from chronos_common.storage.tables import audit_log, jobs, schedules, workspace_quotas
from chronos_scheduler.deferred.resume import Resumer
from factories import StoreJob, Workspace

SECOND = timedelta(seconds=1)


def settings(runs: int = 1_000_000) -> SimpleNamespace:
    return SimpleNamespace(**{each.setting: runs for each in quotas.ALL})


def pause(engine: Engine, job_ids: list[UUID], until: datetime | None) -> None:
    with engine.begin() as connection:
        schedules_storage.deactivate(connection, job_ids)
        now = clock.now() - 60 * SECOND
        jobs_storage.pause(connection, job_ids, Pause(note="Moving", until=until), now=now)


def states(engine: Engine, job_ids: list[UUID]) -> list[tuple[str, bool]]:
    query = select(jobs.c.id, jobs.c.status, schedules.c.active).join(
        schedules, schedules.c.job_id == jobs.c.id
    )
    with engine.connect() as connection:
        found = {row.id: (row.status, row.active) for row in connection.execute(query)}
    return [found[job_id] for job_id in job_ids]


def actions(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = select(audit_log.c.action).order_by(audit_log.c.id)
        return list(connection.execute(query).scalars())


def test_a_job_resumes_when_its_pause_is_over(
    engine: Engine, a_job: StoreJob, workspace: Workspace
) -> None:
    over, running, endless = job_ids = [a_job() for _ in range(3)]
    until = clock.now() - SECOND
    pause(engine, [over], until)
    pause(engine, [running], clock.now() + 3600 * SECOND)
    pause(engine, [endless], None)
    resumer = Resumer(engine, settings())
    assert resumer.tick()
    assert states(engine, job_ids) == [("active", True), ("paused", False), ("paused", False)]
    assert actions(engine) == ["job.resume"]
    with engine.connect() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == over)).one()
        schedule = connection.execute(select(schedules).where(schedules.c.job_id == over)).one()
        used = connection.execute(select(workspace_quotas)).mappings().one()
    assert (row.pause_note, row.paused_until, row.paused_at) == (None, None, None)
    assert schedule.resumed_at == until
    assert (used["quota"], used["used"]) == (RUNS_PER_DAY.name, 24)
    assert used["workspace_id"] == workspace.id
    assert not resumer.tick()
    assert resumer.next_due is not None
    assert resumer.next_due > clock.now()


def test_a_job_that_does_not_fit_stays_paused_and_the_others_resume(
    engine: Engine, a_job: StoreJob
) -> None:
    job_ids = [a_job() for _ in range(3)]
    pause(engine, job_ids, clock.now() - SECOND)
    resumer = Resumer(engine, settings(runs=50))
    assert resumer.tick()
    assert sorted(states(engine, job_ids)) == [
        ("active", True),
        ("active", True),
        ("paused", False),
    ]
    assert sorted(actions(engine)) == ["job.resume", "job.resume", "job.resume_refused"]
    assert not resumer.tick()


def test_an_end_that_an_older_api_left_at_an_active_job_is_forgotten(
    engine: Engine, a_job: StoreJob
) -> None:
    job_id = a_job()
    with engine.begin() as connection:
        until = clock.now() - SECOND
        connection.execute(jobs.update().values(paused_until=until))
    resumer = Resumer(engine, settings())
    assert resumer.tick()
    assert not resumer.tick()
    assert states(engine, [job_id]) == [("active", True)]
    assert actions(engine) == []

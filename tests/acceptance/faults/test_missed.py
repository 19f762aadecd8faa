"""A million instants that nobody planned, under each misfire policy."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from acceptance.faults.stage import Stage
from chronos_common import clock
from chronos_common.domain.schedules.misfires import MAX_COUNT, MisfirePolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_scheduler.plan import MAX_RUN_ALL

pytestmark = pytest.mark.xdist_group("faults-poison")

AGO = timedelta(days=12)
MILLION = 1_000_000


def test_a_million_missed_instants_are_one_row_and_hold_nobody_up(shared_stage: Stage) -> None:
    """Proves that what was missed is counted, not walked through, and planned after what is due.

    Fails if plan took the oldest first (``RECENT``), or without the bound on counting.
    """
    stage = shared_stage
    load = stage.begin(per_second=100)
    now = clock.now().replace(microsecond=0)
    every_second = factories.every(1, anchor=now - AGO)
    cron = Schedule(kind=ScheduleKind.CRON, expression="* * * * * *")
    jobs: dict[UUID, tuple[Schedule, MisfirePolicy]] = {}
    with stage.engine.begin() as connection:
        owner = factories.workspace(connection, now=now, email="missed@example.com")
        for schedule in (every_second, cron):
            for policy in MisfirePolicy:
                job_id = factories.job(
                    connection,
                    owner,
                    schedule,
                    now=now,
                    next_run_at=now - AGO,
                    payload={"url": stage.target.url},
                    notify=(),
                    misfire_policy=policy,
                )
                jobs[job_id] = schedule, policy
        connection.execute(
            text("UPDATE schedules SET ends_at = :now WHERE workspace_id = :owner"),
            {"now": now, "owner": owner.id},
        )
    stage.until(lambda: _is_settled(stage.engine, owner.id), within=60)
    account = stage.end(load)
    account.assert_nothing_lost(within=30)
    for job_id, (schedule, policy) in jobs.items():
        runs, rows, missed = _history(stage.engine, job_id)
        assert rows == 1, (policy, rows)
        # A cron expression's instants are counted one by one, so only up to a bound.
        assert missed + runs >= (MILLION if schedule is every_second else MAX_COUNT)
        match policy:
            case MisfirePolicy.RUN_ALL:
                assert MAX_RUN_ALL <= runs <= MAX_RUN_ALL + 62
            case MisfirePolicy.RUN_LATEST:
                assert 1 <= runs <= 62  # what lies within its grace of a minute runs too
            case MisfirePolicy.SKIP:
                assert runs <= 61


def _is_settled(engine: Engine, workspace: UUID) -> bool:
    query = text("""
        SELECT count(*) FROM schedules WHERE workspace_id = :workspace AND next_run_at IS NOT NULL
        """)
    with engine.connect() as connection:
        return connection.execute(query, {"workspace": workspace}).scalar_one() == 0


def _history(engine: Engine, job_id: UUID) -> tuple[int, int, int]:
    """Return how many ran, how many rows tell of missed ones, and how many those are."""
    query = text("""
        SELECT count(*) FILTER (WHERE status <> 'skipped'),
               count(*) FILTER (WHERE status = 'skipped'),
               COALESCE(sum(missed_count), 0)
          FROM executions WHERE job_id = :job""")
    with engine.connect() as connection:
        runs, rows, missed = connection.execute(query, {"job": job_id}).one()
    return runs, rows, int(missed)

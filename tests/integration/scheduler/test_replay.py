"""Replays: each source once, at the rate, and no further when they fail."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, select, update

from chronos_common import clock, ids
from chronos_common.domain.statuses import Status
from chronos_common.storage import replays
from chronos_common.storage.executions import executions as storage
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.executions.recovery import Selection
from chronos_common.storage.replays import NewReplay, ReplayState
from chronos_common.storage.tables import audit_log, executions, jobs
from chronos_common.storage.tables import replays as table
from chronos_scheduler.deferred.replay import CONSIDERED, Replayer
from factories import StoreJob, Workspace

SECOND = timedelta(seconds=1)

Fail = Callable[[UUID, int], list[UUID]]
Start = Callable[..., UUID]


@pytest.fixture
def fail(engine: Engine, workspace: Workspace, now: datetime) -> Fail:
    """Stores failed executions of a job, one for each of the last seconds."""

    def store(job_id: UUID, count: int) -> list[UUID]:
        instants = [now - (count - number + 1) * SECOND for number in range(count)]
        planned = [
            Planned(ids.occurrence_id(job_id, at), workspace.id, job_id, "webhooks", at, at)
            for at in instants
        ]
        with engine.begin() as connection:
            storage.add(connection, planned)
            connection.execute(
                update(executions)
                .where(executions.c.id.in_([each.id for each in planned]))
                .values(status="failed", error="x", finished_at=now - SECOND)
            )
        return [each.id for each in planned]

    return store


@pytest.fixture
def start(engine: Engine, workspace: Workspace) -> Start:
    def begin(rate: float = 1000, **changes: Any) -> UUID:
        now = clock.now()
        new = {
            "selection": Selection(
                filters=HistoryFilter(statuses=(Status.FAILED,), as_of=now - SECOND / 1000),
                as_of=now,
            ),
            "matched": 1,
            "matched_is_exact": True,
            "rate_per_second": rate,
            "oldest_first": True,
            "note": None,
        }
        with engine.begin() as connection:
            return replays.add(
                connection,
                workspace.id,
                NewReplay(**(new | changes)),
                created_by=workspace.owner,
                now=now,
            )

    return begin


def stored(engine: Engine, replay_id: UUID) -> RowMapping:
    with engine.connect() as connection:
        query = select(table).where(table.c.id == replay_id)
        return connection.execute(query).mappings().one()


def made(engine: Engine, replay_id: UUID) -> list[RowMapping]:
    with engine.connect() as connection:
        query = select(executions).where(executions.c.replay_id == replay_id)
        return list(connection.execute(query.order_by(executions.c.scheduled_for)).mappings())


def run_to_the_end(engine: Engine, replay_id: UUID) -> RowMapping:
    """Tick as if all the time that the rate asks for had passed."""
    replayer = Replayer(engine)
    for _ in range(50):
        if (row := stored(engine, replay_id))["state"] != "running":
            return row
        with engine.begin() as connection:
            connection.execute(update(table).values(next_at=clock.now() - SECOND))
        assert replayer.tick()
    raise AssertionError(stored(engine, replay_id))


def test_each_failure_runs_again_once_in_order(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    first, second = fail(a_job(), 3), fail(a_job(), 2)
    sources = sorted([*first, *second])
    replay_id = start()
    row = run_to_the_end(engine, replay_id)
    assert (row["state"], row["created"], row["refused"]) == ("done", 5, 0)
    found = made(engine, replay_id)
    assert [each["retry_of"] for each in found] == sources
    assert {each["status"] for each in found} == {"queued"}
    assert {each["trigger"] for each in found} == {"retry"}
    with engine.connect() as connection:
        query = select(executions).where(executions.c.id.in_(sources))
        before = {each["id"]: each for each in connection.execute(query).mappings()}
    assert {each["resolution"] for each in before.values()} == {"replayed"}
    for each in found:
        assert each["logical_for"] == before[each["retry_of"]]["scheduled_for"]
    # What it made fails, too: that is not a part of it.
    assert Replayer(engine).tick() is False


def test_a_success_of_a_replay_does_not_close_the_failures_that_it_still_has_to_repeat(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    sources = fail(a_job(), 3)
    now = clock.now()
    filters = HistoryFilter(statuses=(Status.FAILED,), open_failures=True, as_of=now)
    replay_id = start(rate=2, selection=Selection(filters=filters, as_of=now))
    replayer = Replayer(engine)
    for _ in sources:
        assert replayer.tick()
        with engine.begin() as connection:
            ended = {"status": "succeeded", "started_at": now, "finished_at": clock.now()}
            where = executions.c.replay_id == replay_id
            connection.execute(update(executions).where(where).values(ended))
            connection.execute(update(table).values(next_at=clock.now()))
    assert {each["retry_of"] for each in made(engine, replay_id)} == {*sources}


def test_the_rate_bounds_what_begins(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    fail(a_job(), 10)
    replay_id = start(rate=8)
    replayer = Replayer(engine)
    assert replayer.tick()
    assert not replayer.tick()
    row = stored(engine, replay_id)
    assert (row["created"], row["state"]) == (4, "running")
    assert row["next_at"] > clock.now() - 2 * SECOND
    due = [each["due_at"] for each in made(engine, replay_id)]
    assert due[-1] - due[0] == 3 * SECOND / 8


def test_a_replay_newest_first_of_chosen_executions(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    sources = fail(a_job(), 4)
    now = clock.now()
    chosen = (sources[0], sources[2], ids.new_id(now))
    selection = Selection(filters=HistoryFilter(statuses=(Status.FAILED,)), as_of=now, ids=chosen)
    replay_id = start(selection=selection, oldest_first=False)
    run_to_the_end(engine, replay_id)
    assert [each["retry_of"] for each in made(engine, replay_id)] == [sources[2], sources[0]]


def test_a_deleted_job_is_refused(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    deleted, kept = a_job(), a_job()
    fail(deleted, 2)
    fail(kept, 1)
    with engine.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == deleted).values(deleted_at=clock.now()))
    row = run_to_the_end(engine, start())
    assert (row["created"], row["refused"]) == (1, 2)


def test_executions_of_a_job_without_overlaps_run_one_after_the_other(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    job_id = a_job(overlap_policy="skip")
    sources = fail(job_id, 2)
    replay_id = start()
    replayer = Replayer(engine)
    assert replayer.tick()
    assert [each["retry_of"] for each in made(engine, replay_id)] == sources[:1]
    assert stored(engine, replay_id)["next_at"] > clock.now()
    with engine.begin() as connection:
        connection.execute(update(table).values(next_at=clock.now()))
    assert replayer.tick()
    assert len(made(engine, replay_id)) == 1
    with engine.begin() as connection:
        connection.execute(
            update(executions)
            .where(executions.c.replay_id == replay_id)
            .values(status="succeeded", started_at=clock.now(), finished_at=clock.now())
        )
    run_to_the_end(engine, replay_id)
    assert {each["retry_of"] for each in made(engine, replay_id)} == {*sources}


def test_a_replay_that_fails_is_paused_and_goes_on_after_a_resume(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start
) -> None:
    fail(a_job(), CONSIDERED + 10)
    replay_id = start(rate=100)
    replayer = Replayer(engine)
    assert replayer.tick()
    with engine.begin() as connection:
        past = clock.now() - SECOND
        connection.execute(
            update(executions)
            .where(executions.c.replay_id == replay_id)
            .values(status="failed", finished_at=past, scheduled_for=past)
        )
        connection.execute(update(table).values(next_at=past, resumed_at=past))
    assert len(made(engine, replay_id)) == CONSIDERED
    assert replayer.tick()
    row = stored(engine, replay_id)
    assert (row["state"], row["created"]) == ("paused", CONSIDERED)
    assert "50 of its latest 50" in row["stopped_because"]
    with engine.begin() as connection:
        [entry] = connection.execute(select(audit_log.c.action)).scalars()
        replays.move(connection, replay_id, ReplayState.RUNNING, now=clock.now())
    assert entry == "replay.stop"
    row = run_to_the_end(engine, replay_id)
    assert (row["state"], row["created"]) == ("done", CONSIDERED + 10)


ONE_TICK = """
from chronos_common.storage.postgres.database import connect
from chronos_scheduler.deferred.replay import Replayer
import sys
Replayer(connect(sys.argv[1], name="killed")).tick()
"""


@pytest.mark.parametrize(("point", "is_stored"), [("created", False), ("committed", True)])
def test_a_scheduler_that_is_killed_doubles_nothing(
    engine: Engine, a_job: StoreJob, fail: Fail, start: Start, point: str, *, is_stored: bool
) -> None:
    sources = fail(a_job(), 6)
    replay_id = start(rate=4)
    url = engine.url.render_as_string(hide_password=False)
    killed = subprocess.run(
        [sys.executable, "-c", ONE_TICK, url],
        env={**os.environ, "CHRONOS_FAULT_POINT": f"replay.{point}"},  # noqa: TID251 - the child's
        check=False,
        timeout=60,
    )
    assert killed.returncode == -9
    assert len(made(engine, replay_id)) == (2 if is_stored else 0)
    row = run_to_the_end(engine, replay_id)
    assert (row["state"], row["created"]) == ("done", 6)
    assert sorted(each["retry_of"] for each in made(engine, replay_id)) == sources

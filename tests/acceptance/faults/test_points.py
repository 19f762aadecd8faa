"""Processes killed at the points of the code where a death could lose or double something."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

import factories
from acceptance.faults.stage import Stage, stage
from chronos_common import clock
from chronos_common.domain.retries import RetryPolicy
from factories import Workspace
from targets import after, by_path, reply

pytestmark = pytest.mark.xdist_group("faults-points")

PER_SECOND = 100


@pytest.fixture(scope="module")
def single_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One scheduler and one worker, so that the one to die comes to every point itself."""
    with stage(tmp_path_factory.mktemp("stage"), schedulers=1, workers=1) as single:
        single.target.answer = by_path({"/": after(0.05), "/fail": reply(500)})
        yield single


def _die_at(
    stage: Stage, kind: str, point: str, provoke: Callable[[], None] = lambda: None
) -> None:
    """Let a process of its kind, the only one, come to the point and die there."""
    for member in list(stage.fleet.of(kind)):
        stage.fleet.kill(member)
    victim = stage.fleet.victim(kind, FAULT_POINT=point)
    try:
        provoke()
        stage.until(lambda: victim.poll() is not None)
        assert victim.returncode == -signal.SIGKILL, stage.fleet.complaints()
    finally:
        stage.fleet.add(kind)


def test_a_scheduler_that_dies_at_any_point_loses_and_doubles_nothing(
    single_stage: Stage,
) -> None:
    """Proves that each step is one transaction, and that what follows it can be repeated.

    Fails without rescue's look at queued executions (those of ``publish.begins`` are stuck), or
    if plan moved schedules on in a transaction of its own (missed).
    """
    stage = single_stage
    load = stage.begin(per_second=PER_SECOND)
    _die_at(stage, "scheduler", "plan.committed")
    _die_at(stage, "scheduler", "publish.begins")
    _die_at(stage, "scheduler", "publish.ends")
    _die_at(stage, "scheduler", "sweep.halfway", lambda: _forget_some(stage, load.workspace.id))
    _die_at(stage, "scheduler", "prune.halfway", lambda: _drop_a_partition(stage))
    _die_at(stage, "scheduler", "rescue.redelivered", lambda: _lose_a_worker(stage))
    account = stage.end(load)
    account.assert_nothing_lost(within=30, repeated=PER_SECOND)
    assert _partitions(stage) >= 9


def _forget_some(stage: Stage, workspace: UUID) -> None:
    """Make some executions look as if their messages had been lost long ago."""
    with stage.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE executions SET dispatched_at = dispatched_at - interval '15 minutes'"
                " WHERE workspace_id = :workspace AND status = 'queued'"
            ),
            {"workspace": workspace},
        )


def _drop_a_partition(stage: Stage) -> None:
    with stage.engine.begin() as connection:
        day = clock.now() + timedelta(days=5)
        connection.execute(text(f"DROP TABLE executions_{day:%Y%m%d}"))


def _partitions(stage: Stage) -> int:
    with stage.engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'executions'::regclass")
        return int(connection.execute(query).scalar_one())


def _lose_a_worker(stage: Stage) -> None:
    stage.wait(3)  # for its scheduler to start, and its work to begin
    [worker] = stage.fleet.of("worker")
    stage.fleet.replace(worker)


def test_a_worker_that_dies_at_any_point_loses_nothing(single_stage: Stage) -> None:
    """Proves that the claimed row with the heartbeat is the lease: rescue gives it to others.

    Fails without rescue's look at lost workers (stuck).
    """
    stage = single_stage
    load = stage.begin(per_second=PER_SECOND)
    for point in ("claim.committed", "record.begins", "record.committed"):
        _die_at(stage, "worker", point)
        stage.recover()
    # The one that dies before its first record has begun with all that waited for a worker.
    stage.end(load).assert_nothing_lost(within=30, repeated=10 * PER_SECOND)


def test_a_failure_is_told_although_a_scheduler_and_a_worker_die_at_it(
    single_stage: Stage,
) -> None:
    """Proves the outbox: a notification that was taken comes back until it was sent.

    Fails if ``take`` marked as sent. A mail that had left when its worker died leaves twice,
    with the same Message-ID: at least once.
    """
    stage = single_stage
    before = set(_mails(stage))
    _die_at(stage, "scheduler", "notify.taken", lambda: _fail_once(stage))
    _let_time_pass(stage)
    _die_at(stage, "worker", "failure_email.sent", lambda: None)
    _let_time_pass(stage)
    stage.until(lambda: not _unsent(stage))
    mails = set(_mails(stage)) - before
    assert len({_message_id(each) for each in mails}) == 1, mails


def _fail_once(stage: Stage) -> None:
    now = clock.now()
    with stage.engine.begin() as connection:
        owner: Workspace = factories.workspace(connection, now=now, email="told@example.com")
        factories.job(
            connection,
            owner,
            factories.every(3600, anchor=now),
            now=now,
            next_run_at=now,
            payload={"url": f"{stage.target.url}/fail"},
            policy=RetryPolicy(max_attempts=1),
        )


def _let_time_pass(stage: Stage) -> None:
    """Let what was taken come back now instead of in a minute."""
    with stage.engine.begin() as connection:
        connection.execute(text("UPDATE notifications SET due_at = created_at, held_until = NULL"))


def _unsent(stage: Stage) -> int:
    with stage.engine.connect() as connection:
        query = text("SELECT count(*) FROM notifications WHERE sent_at IS NULL")
        return int(connection.execute(query).scalar_one())


def _mails(stage: Stage) -> list[str]:
    folder = stage.cluster.log_dir / "mail"
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


def _message_id(mail: str) -> str:
    [line] = [each for each in mail.splitlines() if each.lower().startswith("message-id:")]
    return line

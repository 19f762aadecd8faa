"""Claim and record: every move is a compare-and-set."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import clock, ids
from chronos_common.domain import queues
from chronos_common.domain.executions import MAX_ERROR_LENGTH, Attempt, Claimed
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.statuses import Reason, Status
from chronos_common.storage.executions import claims, executions, history, undispatched
from chronos_worker import recorder as recorder_module
from chronos_worker.attempts import Finished
from chronos_worker.recorder import Recorder
from factories import Workspace

SECOND = timedelta(seconds=1)
POLICY = RetryPolicy(max_attempts=2, retry_delays=(30.0,))
ME, SOMEBODY_ELSE = UUID(int=1), UUID(int=2)


@pytest.fixture
def recorder(engine: Engine) -> Iterator[Recorder]:
    recorder = Recorder(engine)
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture
def job_id(engine: Engine, workspace: Workspace, now: datetime) -> UUID:
    with engine.begin() as connection:
        return factories.job(connection, workspace, factories.every(3600, anchor=now), now=now)


def _queue(engine: Engine, workspace: Workspace, job_id: UUID, count: int = 1) -> list[UUID]:
    with engine.begin() as connection:
        return [
            factories.trigger(
                connection,
                workspace_id=workspace.id,
                job_id=job_id,
                queue="webhooks",
                now=clock.now(),
            )
            for _ in range(count)
        ]


def _claim(engine: Engine, queued: list[UUID], worker_id: UUID = ME) -> list[Claimed]:
    with engine.begin() as connection:
        return factories.claim(connection, queued, worker_id=worker_id, now=clock.now())


def _finished(claimed: Claimed, outcome: Outcome, **attempt: object) -> Finished:
    made = Attempt(started_at=clock.now(), duration_ms=12, http_status=200)
    return Finished(claimed, "webhooks", POLICY, outcome, made._replace(**attempt))


def _record(recorder: Recorder, *finished: Finished) -> None:
    for each in finished:
        recorder.put(each)
    assert recorder.flush(10)


def test_only_one_worker_gets_an_execution(
    engine: Engine, workspace: Workspace, job_id: UUID
) -> None:
    queued = _queue(engine, workspace, job_id, 3)
    assert {each.id for each in _claim(engine, queued[:2])} == set(queued[:2])
    assert [each.id for each in _claim(engine, queued, SOMEBODY_ELSE)] == queued[2:]


def test_a_cancelled_execution_is_not_claimed(
    engine: Engine, workspace: Workspace, job_id: UUID
) -> None:
    queued = _queue(engine, workspace, job_id, 2)
    with engine.begin() as connection:
        history.cancel(connection, workspace.id, [queued[0]], now=clock.now())
    assert [each.id for each in _claim(engine, queued)] == queued[1:]


def test_an_attempt_is_recorded_with_its_statistics(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    claimed = _claim(engine, _queue(engine, workspace, job_id, 3))
    _record(recorder, *[_finished(each, Succeeded()) for each in claimed])
    for row in factories.executions_of(engine, job_id):
        assert (row["status"], row["http_status"], row["duration_ms"]) == ("succeeded", 200, 12)
        assert row["finished_at"] >= row["started_at"]
        assert [attempt["number"] for attempt in row["attempts"]] == [1]
    with engine.connect() as connection:
        sums = connection.execute(
            text("SELECT status, executions, duration_ms_sum FROM execution_stats")
        ).all()
    assert [tuple(row) for row in sums] == [("succeeded", 3, 36)]


def test_a_failed_attempt_is_retried_then_final_and_somebody_is_told(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    queued = _queue(engine, workspace, job_id)
    [first] = _claim(engine, queued)
    # However late it is recorded, the delay counts from the attempt's end.
    started_at = clock.now() - 20 * SECOND
    failed = _finished(first, Failed("500 Internal Server Error"), http_status=500)
    attempt = failed.attempt._replace(started_at=started_at, duration_ms=2000)
    _record(recorder, failed._replace(attempt=attempt))
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], row["attempt"], row["finished_at"]) == ("retrying", 2, None)
    assert row["due_at"] == started_at + 32 * SECOND
    assert _claim(engine, queued) == []

    with engine.begin() as connection:
        due = undispatched.lock_due(
            connection, queues.DURABLE, horizon=clock.now() + 60 * SECOND, batch=10
        )
        undispatched.mark_dispatched(connection, due.waiting, now=clock.now())
    [second] = _claim(engine, queued)
    assert (second.attempt, second.due_at) == (2, row["due_at"])
    _record(recorder, _finished(second, Failed("500 Internal Server Error"), http_status=500))
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], row["error"]) == ("failed", "500 Internal Server Error")
    assert [attempt["number"] for attempt in row["attempts"]] == [1, 2]
    assert row["started_at"] < row["finished_at"]
    with engine.connect() as connection:
        told = connection.execute(text("SELECT recipients, execution_id FROM notifications")).all()
        drift_ms = connection.execute(
            text("SELECT drift_ms_sum FROM execution_stats")
        ).scalar_one()
    assert [tuple(each) for each in told] == [([factories.OWNER_EMAIL], row["id"])]
    # Drift is that of the first start, which the worker of the last attempt does not know.
    assert drift_ms == (started_at - row["scheduled_for"]) // timedelta(milliseconds=1)


def test_ten_thousand_that_fail_together_come_back_spread_by_their_jitter(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    policy = RetryPolicy(max_attempts=2, retry_delays=(100.0,), retry_jitter=1.0)
    failed = Failed("503 Service Unavailable")
    claimed = _claim(engine, _queue(engine, workspace, job_id, 10_000))
    before = clock.now()
    for each in claimed:
        recorder.put(_finished(each, failed)._replace(policy=policy))
    assert recorder.flush(60)
    due = [row["due_at"] for row in factories.executions_of(engine, job_id)]
    tenths = Counter((moment - before) // (10 * SECOND) for moment in due)
    assert set(tenths) <= set(range(10, 21 + (clock.now() - before) // (10 * SECOND)))
    assert max(tenths.values()) < 1_500, "each tenth of the time has about a tenth of them"


@pytest.mark.parametrize("change", ["redeliveries", "attempt", "worker_id"])
def test_what_was_given_to_somebody_else_meanwhile_is_not_overwritten(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder, change: str
) -> None:
    [mine] = _claim(engine, _queue(engine, workspace, job_id))
    newer: dict[str, UUID | int] = {"redeliveries": 1, "attempt": 2, "worker_id": SOMEBODY_ELSE}
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE executions SET {change} = :value"),  # noqa: S608 - ours
            {"value": newer[change]},
        )
    _record(recorder, _finished(mine, Succeeded()))
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], row["attempts"]) == ("running", [])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM execution_stats")).scalar_one() == 0


@pytest.mark.parametrize("late_comes_first", [True, False])
def test_of_two_outcomes_in_a_batch_only_the_owners_counts(
    engine: Engine,
    workspace: Workspace,
    job_id: UUID,
    recorder: Recorder,
    *,
    late_comes_first: bool,
) -> None:
    [frozen] = _claim(engine, _queue(engine, workspace, job_id))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE executions SET worker_id = :other, redeliveries = 1"),
            {"other": SOMEBODY_ELSE},
        )
    owned = frozen._replace(worker_id=SOMEBODY_ELSE, redeliveries=1)
    late, counts = _finished(frozen, Failed("late", permanent=True)), _finished(owned, Succeeded())
    _record(recorder, *((late, counts) if late_comes_first else (counts, late)))
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], len(row["attempts"])) == ("succeeded", 1)
    with engine.connect() as connection:
        query = text("SELECT status, executions FROM execution_stats")
        assert [tuple(each) for each in connection.execute(query)] == [("succeeded", 1)]
        assert connection.execute(text("SELECT count(*) FROM notifications")).scalar_one() == 0


def test_a_cancelled_running_execution_stays_cancelled(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    [mine] = _claim(engine, _queue(engine, workspace, job_id))
    with engine.begin() as connection:
        moved = history.cancel(connection, workspace.id, [mine.id], now=clock.now())
    assert [each.id for each in moved] == [mine.id]
    _record(recorder, _finished(mine, Succeeded()))
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], row["reason"]) == ("cancelled", "cancelled")


def test_an_answer_that_cannot_be_stored_keeps_nobody_elses_outcome_from_being_recorded(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    claimed = _claim(engine, _queue(engine, workspace, job_id, 5))
    poison = _finished(claimed[2], Succeeded(), response={"body": "\ud800"})
    healthy = [_finished(each, Succeeded()) for each in claimed if each is not claimed[2]]
    _record(recorder, *healthy[:2], poison, *healthy[2:])
    rows = factories.executions_of(engine, job_id)
    assert {row["status"] for row in rows} == {"succeeded"}
    assert all("response" not in row["attempts"][0] for row in rows)


def test_outcomes_wait_while_requests_are_late(
    engine: Engine, workspace: Workspace, job_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if recording takes the processor from sending as soon as there is a batch."""
    monkeypatch.setattr(recorder_module, "LONGEST_GATHER_SECONDS", 30)
    monkeypatch.setattr(recorder_module, "MAX_BATCH", 2)
    asked, sent = Event(), Event()
    backlogs = []

    def is_late() -> bool:
        backlogs.append(recorder.backlog)
        asked.set()
        return not sent.is_set()

    recorder = Recorder(engine, is_late=is_late)
    claimed = _claim(engine, _queue(engine, workspace, job_id, 5))
    for each in claimed:
        recorder.put(_finished(each, Succeeded()))
    recorder.start()
    assert asked.wait(10)
    assert {row["status"] for row in factories.executions_of(engine, job_id)} == {"running"}
    sent.set()
    assert recorder.flush(10)
    recorder.stop()
    assert {row["status"] for row in factories.executions_of(engine, job_id)} == {"succeeded"}
    # It does so once, then writes until nothing is left: more never ends when all is late.
    assert set(backlogs) == {5}


def test_outcomes_do_not_wait_for_ever_for_late_requests(
    engine: Engine, workspace: Workspace, job_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "LONGEST_GATHER_SECONDS", 0.2)
    recorder = Recorder(engine, is_late=lambda: True)
    recorder.start()
    [claimed] = _claim(engine, _queue(engine, workspace, job_id))
    recorder.put(_finished(claimed, Succeeded()))
    assert recorder.flush(10)
    recorder.stop()


def test_outcomes_wait_while_the_database_is_away(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    [claimed] = _claim(engine, _queue(engine, workspace, job_id))
    with engine.begin() as blocker:
        # A lock stands for a database that does not answer: the statement times out.
        blocker.execute(text("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE"))
        recorder.put(_finished(claimed, Succeeded()))
        assert not recorder.flush(6)
    assert recorder.flush(15)
    [row] = factories.executions_of(engine, job_id)
    assert row["status"] == "succeeded"


def test_outcomes_wait_while_the_database_takes_no_changes(
    engine: Engine,
    workspace: Workspace,
    job_id: UUID,
    recorder: Recorder,
    read_only: Callable[[], AbstractContextManager[None]],
) -> None:
    """Proves that a failover to a standby loses no outcome before the standby's promotion.

    Fails if a read-only transaction counts as a wrong statement: then outcomes are lost.
    """
    claimed = _claim(engine, _queue(engine, workspace, job_id, 3))
    with read_only():
        for each in claimed:
            recorder.put(_finished(each, Succeeded()))
        assert not recorder.flush(2)
    assert recorder.flush(15)
    rows = factories.executions_of(engine, job_id)
    assert [row["status"] for row in rows] == ["succeeded"] * 3


@pytest.mark.parametrize("delay", [1e300, float("nan"), None])
def test_a_retry_policy_that_leads_nowhere_fails_its_own_execution_only(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder, delay: float
) -> None:
    poison, plain = _claim(engine, _queue(engine, workspace, job_id, 2))
    policy = RetryPolicy(max_attempts=2, retry_delays=(delay,))
    failed = _finished(poison, Failed("Refused."))._replace(policy=policy)
    _record(recorder, failed, _finished(plain, Succeeded()))
    rows = {row["id"]: row for row in factories.executions_of(engine, job_id)}
    assert (rows[poison.id]["status"], rows[poison.id]["reason"]) == ("failed", "invalid")
    assert rows[poison.id]["error"].startswith("Refused. The stored retry policy cannot be")
    assert rows[plain.id]["status"] == "succeeded"


def test_of_a_long_error_the_beginning_is_kept(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    [claimed] = _claim(engine, _queue(engine, workspace, job_id))
    error = "550 " + "x" * 100_000
    _record(recorder, _finished(claimed, Failed(error, permanent=True)))
    [row] = factories.executions_of(engine, job_id)
    assert row["error"] == row["attempts"][0]["error"] == error[:MAX_ERROR_LENGTH]


def test_an_outcome_that_cannot_be_stored_at_all_is_a_failure_of_its_own(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    poison, plain = _claim(engine, _queue(engine, workspace, job_id, 2))
    _record(
        recorder,
        _finished(poison, Failed("A\x00B", permanent=True)),
        _finished(plain, Succeeded()),
    )
    rows = {row["id"]: row for row in factories.executions_of(engine, job_id)}
    assert rows[poison.id]["status"] == "failed"
    assert rows[poison.id]["error"].startswith("How the attempt ended could not be stored")
    assert rows[plain.id]["status"] == "succeeded"


def test_outcomes_of_a_workspace_that_is_gone_do_not_keep_the_others(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder, now: datetime
) -> None:
    with engine.begin() as connection:
        gone = factories.workspace(connection, now=now, email="gone@example.com")
        theirs = factories.job(connection, gone, factories.every(60, anchor=now), now=now)
    [orphan] = _claim(engine, _queue(engine, gone, theirs))
    [plain] = _claim(engine, _queue(engine, workspace, job_id))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM workspaces WHERE id = :id"), {"id": gone.id})
    _record(recorder, _finished(orphan, Succeeded()), _finished(plain, Succeeded()))
    [row] = factories.executions_of(engine, job_id)
    assert row["status"] == "succeeded"


def test_a_row_says_what_its_history_needs(
    engine: Engine, workspace: Workspace, job_id: UUID, recorder: Recorder
) -> None:
    [claimed] = _claim(engine, _queue(engine, workspace, job_id))
    request, response = {"method": "GET", "url": "http://x/"}, {"status": 200, "body": "ok"}
    timing = {"dns": 0.1, "total": 3.5}
    _record(
        recorder,
        _finished(claimed, Succeeded(), request=request, response=response, timing_ms=timing),
    )
    [row] = factories.executions_of(engine, job_id)
    [attempt] = row["attempts"]
    assert (attempt["request"], attempt["response"], attempt["timing_ms"]) == (
        request,
        response,
        timing,
    )
    assert attempt["worker"] == str(ME)
    assert json.dumps(attempt)


def test_given_back_executions_are_dispatched_again_by_nobody_elses_hand(
    engine: Engine, workspace: Workspace, job_id: UUID
) -> None:
    [mine] = _claim(engine, _queue(engine, workspace, job_id))
    with engine.begin() as connection:
        give_back = partial(claims.give_back, connection, [mine.id])
        assert give_back(worker_id=SOMEBODY_ELSE, claimed_at=mine.claimed_at) == 0
        assert give_back(worker_id=ME, claimed_at=mine.claimed_at - timedelta(seconds=1)) == 0
        assert give_back(worker_id=ME, claimed_at=mine.claimed_at) == 1
    [row] = factories.executions_of(engine, job_id)
    assert (row["status"], row["redeliveries"], row["dispatched_at"]) == ("queued", 0, None)


def test_ended_executions_have_their_reason(
    engine: Engine, workspace: Workspace, job_id: UUID
) -> None:
    queued = _queue(engine, workspace, job_id, 2)
    _claim(engine, queued[:1])
    with engine.begin() as connection:
        moved = history.cancel_unstarted(
            connection, [job_id], reason=Reason.PAUSED, now=clock.now()
        )
    assert [(each.id, each.status) for each in moved] == [(queued[1], Status.CANCELLED)]


def test_the_primary_key_refuses_a_second_row_for_an_occurrence(
    engine: Engine, workspace: Workspace, job_id: UUID, now: datetime
) -> None:
    planned = executions.Planned(
        ids.occurrence_id(job_id, now), workspace.id, job_id, "webhooks", now, None
    )
    with engine.begin() as connection:
        assert executions.add(connection, [planned]) == set()
        assert executions.add(connection, [planned]) == {planned.id}

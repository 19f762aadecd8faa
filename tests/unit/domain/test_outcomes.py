"""What follows an outcome."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.outcomes import (
    Failed,
    Finish,
    Lost,
    NotAttempted,
    Outcome,
    Postpone,
    Redeliver,
    Retry,
    Step,
    Succeeded,
    next_step,
)
from chronos_common.domain.retries import MAX_REDELIVERIES, MAX_RETRY_AFTER, RetryPolicy
from chronos_common.domain.statuses import FINAL, MOVES, UNFINISHED, Reason, Status

POLICY = RetryPolicy(max_attempts=3, retry_delays=(1.0, 5.0))


def _step(outcome: Outcome, attempt: int = 1, redeliveries: int = 0) -> Step:
    return next_step(
        outcome, attempt=attempt, redeliveries=redeliveries, policy=POLICY, jitter=0.5
    )


@pytest.mark.parametrize(
    ("outcome", "attempt", "step"),
    [
        (Succeeded(), 1, Finish(Status.SUCCEEDED)),
        (Succeeded(), 3, Finish(Status.SUCCEEDED)),
        (Failed("no", permanent=True), 1, Finish(Status.FAILED, "no")),
        (Failed("no"), 1, Retry(timedelta(seconds=1), "no")),
        (Failed("no"), 2, Retry(timedelta(seconds=5), "no")),
        (Failed("no"), 3, Finish(Status.FAILED, "no")),
        (Failed("no", retry_after=timedelta(seconds=9)), 1, Retry(timedelta(seconds=9), "no")),
        (Failed("no", retry_after=timedelta(0)), 2, Retry(timedelta(seconds=5), "no")),
        (Failed("no", retry_after=timedelta(days=9)), 1, Retry(MAX_RETRY_AFTER, "no")),
        (Lost(), 3, Redeliver()),
        (NotAttempted("no descriptor"), 3, Postpone()),
    ],
)
def test_an_outcome_leads_to_the_next_step(outcome: Outcome, attempt: int, step: Step) -> None:
    assert _step(outcome, attempt) == step


def test_a_lost_worker_costs_no_attempt_until_the_execution_is_poison() -> None:
    steps = [_step(Lost(), redeliveries=count) for count in range(MAX_REDELIVERIES + 1)]
    assert steps[:-1] == [Redeliver()] * MAX_REDELIVERIES
    last = steps[-1]
    assert isinstance(last, Finish)
    assert (last.status, last.reason) == (Status.FAILED, Reason.WORKER_LOST)
    assert "6 times" in str(last.error)


def test_the_last_delay_repeats() -> None:
    policy = RetryPolicy(retry_delays=(60, 300, 900))
    delays = [policy.delay_after(n, jitter=0.0).total_seconds() for n in range(1, 6)]
    assert delays == [60, 300, 900, 900, 900]


def test_without_delays_the_backoff_grows_to_its_cap() -> None:
    policy = RetryPolicy(
        retry_delays=(), backoff_seconds=1, backoff_factor=3, backoff_cap_seconds=20
    )
    delays = [policy.delay_after(n, jitter=0.0).total_seconds() for n in range(1, 6)]
    assert delays == [1, 3, 9, 20, 20]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_lengthens_a_delay_by_at_most_its_ratio(
    attempt: int, jitter: float, ratio: float
) -> None:
    policy = RetryPolicy(retry_delays=(), backoff_cap_seconds=100, retry_jitter=ratio)
    plain = RetryPolicy(retry_delays=(), backoff_cap_seconds=100)
    without = plain.delay_after(attempt, jitter=0.0)
    with_jitter = policy.delay_after(attempt, jitter=jitter)
    assert without <= with_jitter <= without * (1 + ratio) + timedelta(microseconds=1)


def test_every_status_has_its_moves_and_final_ones_have_none() -> None:
    assert set(MOVES) == set(Status)
    assert {status for status, following in MOVES.items() if not following} == FINAL
    assert set(Status) == FINAL | UNFINISHED

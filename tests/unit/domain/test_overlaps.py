"""What an execution does while others of its job are unfinished."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from chronos_common.domain.overlaps import OverlapPolicy, Unfinished, Verdict, judge
from chronos_common.domain.statuses import Status, Trigger

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALLOW, SKIP, QUEUE_ONE, CANCEL_RUNNING = OverlapPolicy


def _execution(
    status: Status = Status.QUEUED,
    *,
    after: int = 0,
    attempt: int = 1,
    trigger: Trigger = Trigger.SCHEDULE,
) -> Unfinished:
    return Unfinished(uuid4(), status, NOON + timedelta(seconds=after), attempt, trigger)


RUNNING = _execution(Status.RUNNING)
RETRYING = _execution(Status.RETRYING, attempt=2)
RETRY_DUE = _execution(Status.QUEUED, attempt=2)
WAITING = _execution(after=1)
LATER = _execution(after=9)


@pytest.mark.parametrize(
    ("policy", "others", "verdict"),
    [
        (ALLOW, [RUNNING], Verdict.START),
        (SKIP, [], Verdict.START),
        (SKIP, [RUNNING], Verdict.SKIP),
        (SKIP, [RETRYING], Verdict.SKIP),
        (SKIP, [RETRY_DUE], Verdict.SKIP),
        (SKIP, [LATER], Verdict.START),
        (QUEUE_ONE, [], Verdict.START),
        (QUEUE_ONE, [RUNNING], Verdict.WAIT),
        (QUEUE_ONE, [RUNNING, WAITING], Verdict.SKIP),
        (QUEUE_ONE, [RUNNING, LATER], Verdict.WAIT),
        (CANCEL_RUNNING, [], Verdict.START),
        (CANCEL_RUNNING, [RUNNING], Verdict.CANCEL_OTHERS),
    ],
)
def test_a_scheduled_execution_obeys_its_policy(
    policy: OverlapPolicy, others: list[Unfinished], verdict: Verdict
) -> None:
    assert judge(policy, _execution(after=5), others) is verdict


@pytest.mark.parametrize("policy", [SKIP, QUEUE_ONE, CANCEL_RUNNING])
@pytest.mark.parametrize(
    "due",
    [_execution(trigger=Trigger.MANUAL), _execution(trigger=Trigger.RETRY), _execution(attempt=2)],
)
def test_triggers_and_retries_start_whatever_runs(policy: OverlapPolicy, due: Unfinished) -> None:
    assert judge(policy, due, [RUNNING]) is Verdict.START

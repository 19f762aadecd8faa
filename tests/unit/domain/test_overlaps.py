"""What an execution does while others of its job are unfinished."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from chronos_common.domain.overlaps import (
    OverlapPolicy,
    OverlapVerdict,
    UnfinishedExecution,
    judge,
)
from chronos_common.domain.statuses import Status, Trigger

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALLOW, SKIP, QUEUE_ONE, CANCEL_RUNNING, *_ = OverlapPolicy


def _execution(
    status: Status = Status.QUEUED,
    *,
    after: int = 0,
    attempt: int = 1,
    trigger: Trigger = Trigger.SCHEDULE,
) -> UnfinishedExecution:
    return UnfinishedExecution(uuid4(), status, NOON + timedelta(seconds=after), attempt, trigger)


RUNNING = _execution(Status.RUNNING)
RETRYING = _execution(Status.RETRYING, attempt=2)
RETRY_DUE = _execution(Status.QUEUED, attempt=2)
WAITING = _execution(after=1)
LATER = _execution(after=9)


@pytest.mark.parametrize(
    ("policy", "others", "verdict"),
    [
        (ALLOW, [RUNNING], OverlapVerdict.START),
        (SKIP, [], OverlapVerdict.START),
        (SKIP, [RUNNING], OverlapVerdict.SKIP),
        (SKIP, [RETRYING], OverlapVerdict.SKIP),
        (SKIP, [RETRY_DUE], OverlapVerdict.SKIP),
        (SKIP, [LATER], OverlapVerdict.START),
        (QUEUE_ONE, [], OverlapVerdict.START),
        (QUEUE_ONE, [RUNNING], OverlapVerdict.WAIT),
        (QUEUE_ONE, [RUNNING, WAITING], OverlapVerdict.SKIP),
        (QUEUE_ONE, [RUNNING, LATER], OverlapVerdict.WAIT),
        (CANCEL_RUNNING, [], OverlapVerdict.START),
        (CANCEL_RUNNING, [RUNNING], OverlapVerdict.CANCEL_OTHERS),
    ],
)
def test_a_scheduled_execution_obeys_its_policy(
    policy: OverlapPolicy, others: list[UnfinishedExecution], verdict: OverlapVerdict
) -> None:
    assert judge(policy, _execution(after=5), others) is verdict


@pytest.mark.parametrize("policy", [SKIP, QUEUE_ONE, CANCEL_RUNNING])
@pytest.mark.parametrize(
    "due",
    [_execution(trigger=Trigger.MANUAL), _execution(trigger=Trigger.RETRY), _execution(attempt=2)],
)
def test_triggers_and_retries_start_whatever_runs(
    policy: OverlapPolicy, due: UnfinishedExecution
) -> None:
    assert judge(policy, due, [RUNNING]) is OverlapVerdict.START

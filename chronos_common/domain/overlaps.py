"""Decides about an execution that is due while others of its job are unfinished."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import assert_never
from uuid import UUID

from chronos_common.domain.statuses import Status, Trigger


class OverlapPolicy(StrEnum):
    """The rule for an occurrence that is due while an earlier one of its job is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue_one"
    CANCEL_RUNNING = "cancel_running"


@dataclass(frozen=True, slots=True)
class UnfinishedExecution:
    """An execution of the job that has not ended."""

    id: UUID
    status: Status
    scheduled_for: datetime
    attempt: int
    trigger: Trigger

    @property
    def is_under_way(self) -> bool:
        """Return whether it has started and not ended. Waiting for a retry counts."""
        return self.status in {Status.RUNNING, Status.RETRYING} or self.attempt > 1


class OverlapVerdict(Enum):
    """The decision about a due execution."""

    START = auto()
    SKIP = auto()
    WAIT = auto()
    CANCEL_OTHERS = auto()


def judge(
    policy: OverlapPolicy, due: UnfinishedExecution, others: Sequence[UnfinishedExecution]
) -> OverlapVerdict:
    """Decide about ``due`` beside the unfinished ``others`` of its job.

    Only a first attempt of a schedule is held back. A manual trigger always starts, and so does a
    retry, whose execution has started before.
    """
    if policy is OverlapPolicy.ALLOW or due.trigger is not Trigger.SCHEDULE or due.attempt > 1:
        return OverlapVerdict.START
    under_way = any(other.is_under_way for other in others)
    match policy:
        case OverlapPolicy.SKIP:
            return OverlapVerdict.SKIP if under_way else OverlapVerdict.START
        case OverlapPolicy.CANCEL_RUNNING:
            return OverlapVerdict.CANCEL_OTHERS if under_way else OverlapVerdict.START
        case OverlapPolicy.QUEUE_ONE:
            if not under_way:
                return OverlapVerdict.START
            return OverlapVerdict.SKIP if _somebody_waits(due, others) else OverlapVerdict.WAIT
        case _:
            assert_never(policy)


def _somebody_waits(due: UnfinishedExecution, others: Sequence[UnfinishedExecution]) -> bool:
    return any(
        other.status is Status.QUEUED
        and not other.is_under_way
        and (other.scheduled_for, other.id) < (due.scheduled_for, due.id)
        for other in others
    )

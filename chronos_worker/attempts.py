"""One attempt of an execution: the action that makes it, its deadline and its end."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import structlog

from chronos_common import clock
from chronos_common.domain import queues
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome
from chronos_common.domain.retries import RetryPolicy
from chronos_common.errors import Invalid

#: Executes one attempt. It bounds its own time and returns every failure as an outcome.
Action = Callable[[Claimed, JobSpec], tuple[Outcome, Attempt]]

_log = structlog.get_logger(__name__)


class Deadline:
    """The end of an attempt, ``seconds`` after the deadline was made. Every wait ends there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began_at = monotonic()

    def spent(self) -> float:
        """Return the seconds since the deadline was made."""
        return monotonic() - self._began_at

    def left(self) -> float:
        """Return the seconds that are left. Raises :class:`TimeoutError` if none are."""
        left = self.seconds - self.spent()
        if left <= 0:
            raise TimeoutError
        return left


class Finished(NamedTuple):
    """An attempt that ended, and the policy that says how its execution goes on."""

    claimed: Claimed
    queue: str
    policy: RetryPolicy
    outcome: Outcome
    attempt: Attempt


def invalid_payload(claimed: Claimed, job: JobSpec, error: Exception) -> Finished:
    """Return the failure of an execution whose stored payload cannot be executed."""
    reason = str(error)
    if not isinstance(error, Invalid):
        _log.error("payload not understood", execution_id=str(claimed.id), exc_info=error)
        reason = "the worker's log says why."
    return Finished(
        claimed=claimed,
        queue=queues.QUEUE_OF[job.type],
        policy=job.policy,
        outcome=Failed(f"The stored payload is invalid: {reason}", permanent=True),
        attempt=Attempt(started_at=clock.now(), duration_ms=0),
    )

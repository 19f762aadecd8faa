"""One attempt of an execution: the action that makes it, its deadline and its end."""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import structlog

from chronos_common import clock
from chronos_common.domain import queues
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, NotAttempted, Outcome
from chronos_common.domain.retries import RetryPolicy
from chronos_common.errors import Invalid
from chronos_worker import exhaustion

#: Executes one attempt. It bounds its own time and returns every failure as an outcome. It raises
#: errors of the stored payload, and those by which this worker lacks something of its own.
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
    """An attempt that ended, and the policy that says how its execution goes on.

    ``job_version`` is the version of the job that was performed.
    """

    claimed: Claimed
    queue: str
    policy: RetryPolicy
    outcome: Outcome
    attempt: Attempt
    job_version: int | None = None


def unperformed(claimed: Claimed, job: JobSpec, error: Exception) -> Finished:
    """Return the end of an execution that could not be performed because of ``error``.

    Either the worker lacked something of its own, or the stored payload cannot be executed.
    """
    if lack := exhaustion.lack_behind(error):
        return not_attempted(claimed, job, lack)
    reason = str(error)
    if not isinstance(error, Invalid):
        _log.error("payload not understood", execution_id=str(claimed.id), exc_info=error)
        reason = "the worker's log says why."
    outcome = Failed(f"The stored payload is invalid: {reason}", permanent=True)
    return _without_attempt(claimed, job, outcome)


def not_attempted(claimed: Claimed, job: JobSpec, reason: str) -> Finished:
    """Return the end of an execution that has sent nothing."""
    return _without_attempt(claimed, job, NotAttempted(reason))


def _without_attempt(claimed: Claimed, job: JobSpec, outcome: Outcome) -> Finished:
    return Finished(
        claimed=claimed,
        queue=queues.QUEUE_OF[job.type],
        policy=job.policy,
        outcome=outcome,
        attempt=Attempt(started_at=clock.now(), duration_ms=0),
        job_version=job.version,
    )

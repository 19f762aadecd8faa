"""How an attempt ended, as a value, and the one function that decides the next step."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from chronos_common.domain.retries import MAX_REDELIVERIES, MAX_RETRY_AFTER, RetryPolicy
from chronos_common.domain.statuses import Reason, Status

#: The delay of an execution that its worker could not attempt.
POSTPONED_BY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The action was done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The action was not done: ``permanent`` if trying again cannot help.

    ``retry_after`` is the delay that the target asked for (RFC 9110, section 10.2.3), if it did.
    """

    error: str
    permanent: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker vanished, and it is unknown how the attempt ended."""


@dataclass(frozen=True, slots=True)
class NotAttempted:
    """The worker lacked something of its own, and nothing has left."""

    error: str


Outcome = Succeeded | Failed | Lost | NotAttempted


@dataclass(frozen=True, slots=True)
class Finish:
    """The execution ends with ``status``."""

    status: Status
    error: str | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt is due after ``delay``."""

    delay: timedelta
    error: str


@dataclass(frozen=True, slots=True)
class Redeliver:
    """The same attempt is handed to another worker."""


@dataclass(frozen=True, slots=True)
class Postpone:
    """The same attempt is due again after ``POSTPONED_BY``, by any worker."""


Step = Finish | Retry | Redeliver | Postpone


def next_step(
    outcome: Outcome, *, attempt: int, redeliveries: int, policy: RetryPolicy, jitter: float
) -> Step:
    """Return the step after ``outcome`` of attempt number ``attempt`` (from 1).

    ``redeliveries`` counts how often the execution was already taken from a lost worker.
    ``jitter`` is a random number in [0, 1).
    """
    match outcome:
        case Succeeded():
            return Finish(Status.SUCCEEDED)
        case Failed(error=error) if outcome.permanent or attempt >= policy.max_attempts:
            return Finish(Status.FAILED, error)
        case Failed(error=error, retry_after=retry_after):
            delay = policy.delay_after(attempt, jitter=jitter)
            asked = min(retry_after or timedelta(0), MAX_RETRY_AFTER)
            return Retry(max(delay, asked), error)
        case Lost() if redeliveries >= MAX_REDELIVERIES:
            error = f"Its worker was lost {redeliveries + 1} times; it is not handed out again."
            return Finish(Status.FAILED, error, Reason.WORKER_LOST)
        case Lost():
            return Redeliver()
        case NotAttempted():
            return Postpone()
        case _:
            assert_never(outcome)

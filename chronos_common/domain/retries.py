"""When a failed attempt is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

DEFAULT_DELAYS_SECONDS = (60.0, 300.0, 900.0)
DEFAULT_MAX_ATTEMPTS = 4

#: A worker's loss costs no attempt. An execution that was handed out this often is poison.
MAX_REDELIVERIES = 5

#: The longest delay that a target may ask for (``Retry-After``).
MAX_RETRY_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after which delays, an execution is tried.

    With ``delays_seconds``, attempt n is followed by the n-th delay and the last one repeats.
    Without, the delay is ``backoff_seconds * backoff_factor ** (n - 1)``, at most
    ``backoff_cap_seconds``. ``jitter_ratio`` (0 to 1) lengthens each delay by up to that part of
    it, so that executions that failed together do not retry together.
    """

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    delays_seconds: Sequence[float] = DEFAULT_DELAYS_SECONDS
    backoff_seconds: float = 60.0
    backoff_factor: float = 2.0
    backoff_cap_seconds: float = 3600.0
    jitter_ratio: float = 0.0

    def delay_after(self, attempt: int, *, jitter: float) -> timedelta:
        """Return the delay after ``attempt`` (from 1). ``jitter`` is random in [0, 1)."""
        return timedelta(seconds=self._seconds_after(attempt) * (1 + self.jitter_ratio * jitter))

    def _seconds_after(self, attempt: int) -> float:
        if self.delays_seconds:
            return self.delays_seconds[min(attempt, len(self.delays_seconds)) - 1]
        # The exponent is bounded, so that a float cannot overflow before the cap applies.
        grown = self.backoff_seconds * self.backoff_factor ** min(attempt - 1, 64)
        return min(grown, self.backoff_cap_seconds)

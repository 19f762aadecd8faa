"""The delays between attempts; ``outcomes`` decides whether there is another one."""

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

    With ``retry_delays``, attempt n is followed by the n-th delay and the last one repeats.
    Without, the delay is ``backoff_seconds * backoff_factor ** (n - 1)``, at most
    ``backoff_cap_seconds``. ``retry_jitter`` (0 to 1) lengthens each delay by up to that part of
    it, so that what failed together does not come back together.
    """

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    retry_delays: Sequence[float] = DEFAULT_DELAYS_SECONDS
    backoff_seconds: float = 60.0
    backoff_factor: float = 2.0
    backoff_cap_seconds: float = 3600.0
    retry_jitter: float = 0.0

    def delay_after(self, attempt: int, *, jitter: float) -> timedelta:
        """Return the delay after ``attempt`` (from 1); ``jitter`` is a random number in [0, 1)."""
        return timedelta(seconds=self._seconds_after(attempt) * (1 + self.retry_jitter * jitter))

    def _seconds_after(self, attempt: int) -> float:
        if self.retry_delays:
            return self.retry_delays[min(attempt, len(self.retry_delays)) - 1]
        # The exponent is bounded, so that a float cannot overflow before the cap applies.
        grown = self.backoff_seconds * self.backoff_factor ** min(attempt - 1, 64)
        return min(grown, self.backoff_cap_seconds)


DEFAULT_POLICY = RetryPolicy()

"""Loops in threads. A loop knows nothing of its work: a tick returns whether it found some."""

import random
import time
from collections.abc import Callable, Sequence
from threading import Event, Thread

import structlog

_log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

#: Seconds for which a loop looks often after it found work or was woken. A change may be announced
#: just before it is visible.
ALERT_SECONDS = 2.0


class Loop:
    """Calls ``tick`` again and again, in a thread of its own, from :meth:`start` on.

    A rest is the wait between two ticks. There are four:

    1. None after a tick that found work.
    2. ``idle_seconds`` after a tick that found none, while the loop is alert. It is alert for
       ``ALERT_SECONDS`` after work, after :meth:`hint` and after :meth:`wake`.
    3. ``quiet_seconds`` once it is not, or ``idle_seconds`` again without such a rest. It may be a
       function, which is called after each tick. :meth:`hint` ends this rest.
    4. A longer one after each tick that raises, up to ``LONGEST_PAUSE_SECONDS``. No error of a
       tick ends the loop.

    While ``is_held_up`` returns true, there may be work that the tick could not do, and the loop
    stays alert.
    """

    def __init__(
        self,
        name: str,
        tick: Callable[[], bool],
        *,
        idle_seconds: float,
        quiet_seconds: float | Callable[[], float] | None = None,
        is_held_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self._tick = tick
        self._idle = idle_seconds
        self._quiet = idle_seconds if quiet_seconds is None else quiet_seconds
        self._is_held_up = is_held_up
        self._alert_until = 0.0
        self._first_rest = 0.0
        self._stop = Event()
        self._wake = Event()
        self._failures = 0
        self._failed_with: type[Exception] | None = None
        self._ticking_since: float | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self, *, after_seconds: float = 0) -> None:
        """Begin. The first tick comes ``after_seconds``."""
        self._first_rest = after_seconds
        self._thread.start()

    @property
    def tick_seconds(self) -> float:
        """Seconds since the current tick began, 0 while the loop rests."""
        since = self._ticking_since
        return 0.0 if since is None else time.monotonic() - since

    def wake(self) -> None:
        """End the rest that is under way, or skip the next one."""
        self._be_alert()
        self._wake.set()

    def hint(self) -> None:
        """Look often for a while, as there may be work. This ends a quiet rest, but no short one.

        Hints may come many times a second, and must not make a busy loop busier.
        """
        is_quiet = time.monotonic() >= self._alert_until
        self._be_alert()
        if is_quiet:
            self._wake.set()

    def stop(self) -> None:
        """Ask the loop to end after the tick that is under way."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end. Return whether it came within ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        rest = self._first_rest
        while True:
            self._wake.wait(rest)
            self._wake.clear()
            if self._stop.is_set():
                return
            rest = self._tick_once()

    def _tick_once(self) -> float:
        """Tick, and return for how many seconds to rest."""
        self._ticking_since = time.monotonic()
        try:
            found_work = self._tick()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next tick may do better
            self._report(error)
            return self._pause()
        finally:
            self._ticking_since = None
        self._failures, self._failed_with = 0, None
        if found_work or self._is_held_up():
            self._be_alert()
        if found_work:
            return 0
        if time.monotonic() < self._alert_until:
            return self._idle
        return self._quiet() if callable(self._quiet) else self._quiet

    def _report(self, error: Exception) -> None:
        """Log an error, with its place if the tick before did not fail with the same."""
        self._failures += 1
        is_new = type(error) is not self._failed_with
        self._failed_with = type(error)
        text = str(error).partition("\n")[0]
        _log.error(
            "loop failed", loop=self.name, failures=self._failures, error=text, exc_info=is_new
        )

    def _be_alert(self) -> None:
        self._alert_until = time.monotonic() + ALERT_SECONDS

    def _pause(self) -> float:
        longest = min(FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10), LONGEST_PAUSE_SECONDS)
        # Many processes that lost the same database must not come back in step.
        return random.uniform(longest / 2, longest)  # noqa: S311 - not a secret


def stop_all(loops: Sequence[Loop], *, timeout: float) -> list[str]:
    """Stop the loops together. Return the names of those that did not end in time."""
    for loop in loops:
        loop.stop()
    return [loop.name for loop in loops if not loop.join(timeout)]

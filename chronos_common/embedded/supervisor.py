"""Watches child processes: follows their logs, and restarts those that died."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chronos_common.embedded.processes.child import Child, ChildBusy
from chronos_common.embedded.processes.shutdown import StopRequest, wait_until

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
STABLE_SECONDS = 60.0

# Seconds between two ticks during a start, after one that found new lines in a log, and after one
# that found none. A signal reports urgent events.
_POLL_SECONDS = 0.1
_LOGGING_SECONDS = 1.0
_REST_SECONDS = 5.0
# Most bytes of a child's log that a tick reads. The next tick reads the rest.
_CHUNKS_PER_TICK = 16
_LOG_CHECK_SECONDS = 60.0


class Backoff:
    """Seconds to wait before a child that died restarts: twice as long each time.

    A child that stayed up for a minute is trusted again.
    """

    def __init__(self) -> None:
        self._deaths = 0

    def next_delay(self, uptime_seconds: float) -> float:
        """Return the seconds to wait after a run of ``uptime_seconds``."""
        if uptime_seconds >= STABLE_SECONDS:
            self._deaths = 0
        delay = min(FIRST_DELAY_SECONDS * 2.0**self._deaths, LONGEST_DELAY_SECONDS)
        if delay < LONGEST_DELAY_SECONDS:
            self._deaths += 1
        return delay


@dataclass(slots=True)
class _Watched:
    child: Child
    started_at: float
    backoff: Backoff = field(default_factory=Backoff)
    starts_at: float | None = None


class Supervisor:
    """Keeps children running until it is stopped.

    ``say`` gets a line for each event that the operator should know, ``show_log`` every line that
    a child logs, with the child's name. ``wait`` sleeps, and should return at the signal that a
    child ended. Use it from the main thread only: on Linux a child is bound to the life of the
    thread that started it.
    """

    def __init__(
        self,
        *,
        say: Callable[[str], None],
        show_log: Callable[[str, str], None],
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._say = say
        self._show_log = show_log
        self._monotonic = monotonic
        self._wait = wait
        self._watched: list[_Watched] = []
        self._logs_checked_at = monotonic()
        self._found_lines = False

    def watch(self, children: Iterable[Child]) -> None:
        """Watch children that run already."""
        self._watched += [_Watched(child, self._monotonic()) for child in children]

    def start(self, children: Iterable[Child]) -> None:
        """Start children, and watch them."""
        for child in children:
            child.start()
            self.watch([child])

    def run_until(self, condition: Callable[[], bool], *, seconds: float | None = None) -> bool:
        """Watch until ``condition`` holds. Return whether it did within ``seconds``."""
        deadline = None if seconds is None else self._monotonic() + seconds
        while not condition():
            if deadline is not None and self._monotonic() >= deadline:
                return False
            self.tick()
            self._wait(self._seconds_to_rest() if seconds is None else _POLL_SECONDS)
        return True

    def _seconds_to_rest(self) -> float:
        longest = _LOGGING_SECONDS if self._found_lines else _REST_SECONDS
        starts = [each.starts_at for each in self._watched if each.starts_at is not None]
        if not starts:
            return longest
        return min(max(min(starts) - self._monotonic(), 0), longest)

    def tick(self) -> None:
        """Check every child once: its log, whether it died, whether its restart is due."""
        self._found_lines = False
        for watched in self._watched:
            self._forward_log(watched.child)
            if watched.starts_at is None and not watched.child.is_running():
                self._note_death(watched)
            elif watched.starts_at is not None and self._monotonic() >= watched.starts_at:
                self._start_again(watched)
        self._keep_logs_small()

    def stop(self, children: Iterable[Child], request: StopRequest) -> None:
        """End ``children`` together: their first stop signal, its grace, then SIGKILL.

        ``request.urgent`` cuts the grace short.
        """
        ending = list(children)
        self._watched = [w for w in self._watched if w.child not in ending]
        for child in ending:
            child.signal(child.program.stopping[0][0])
        wait_until(
            lambda: request.urgent or not any(child.is_running() for child in ending),
            seconds=max((child.program.stopping[0][1] for child in ending), default=0),
        )
        for child in ending:
            if child.is_running():
                self._say(f"The {child.name} did not stop in time and is killed.")
            child.kill()
            self._forward_log(child)

    def _note_death(self, watched: _Watched) -> None:
        child = watched.child
        self._forward_log(child)
        delay = watched.backoff.next_delay(self._monotonic() - watched.started_at)
        watched.starts_at = self._monotonic() + delay
        self._say(
            f"The {child.name} (process {child.pid}) {child.how_it_ended()}. "
            f"It starts again in {delay:g} s; its log is {child.log.path}"
        )

    def _start_again(self, watched: _Watched) -> None:
        try:
            watched.child.start()
        except ChildBusy:
            watched.starts_at = self._monotonic() + FIRST_DELAY_SECONDS
            return
        except OSError as error:  # no memory, no room on the disk
            delay = watched.backoff.next_delay(0)
            watched.starts_at = self._monotonic() + delay
            name = watched.child.name
            self._say(f"The {name} cannot start ({error}); it is tried again in {delay:g} s.")
            return
        watched.starts_at = None
        watched.started_at = self._monotonic()
        self._say(f"The {watched.child.name} runs again (process {watched.child.pid}).")

    def _forward_log(self, child: Child) -> None:
        for _ in range(_CHUNKS_PER_TICK):
            lines = child.log.new_lines()
            for line in lines:
                self._show_log(child.name, line)
            if not lines:
                break
            self._found_lines = True

    def _keep_logs_small(self) -> None:
        if self._monotonic() - self._logs_checked_at >= _LOG_CHECK_SECONDS:
            self._logs_checked_at = self._monotonic()
            for watched in self._watched:
                watched.child.log.keep_small()

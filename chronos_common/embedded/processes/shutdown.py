"""Requests to stop: the signals that make them, and the waits that they end."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chronos_common.errors import ChronosError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.05
_MANY = 4096


class StartStopped(ChronosError):
    """Stopped before everything was running."""


class StopRequest:
    """Whether somebody asked to stop, and whether they asked again because it took too long.

    Plain flags on purpose: a signal handler that sets a ``threading.Event`` while its own thread
    waits for that event can lock up. ``signals`` is a descriptor from which the numbers of handled
    signals can be read, if there is one.
    """

    def __init__(self, signals: int | None = None) -> None:
        self.asked = False
        self.urgent = False
        self._signals = signals

    def ask(self) -> None:
        """Ask to stop. A second call asks to stop without waiting for work in progress."""
        self.urgent = self.asked
        self.asked = True

    def wait(self, seconds: float) -> None:
        """Sleep for so long, or until a signal comes. One that came since the last wait counts."""
        if self._signals is None:
            time.sleep(seconds)
        elif select.select([self._signals], [], [], seconds)[0]:
            os.read(self._signals, _MANY)


@contextmanager
def on_signals() -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into a :class:`StopRequest`.

    The end of a child process ends its ``wait``, too.
    """
    heard, told = os.pipe()
    for descriptor in (heard, told):
        os.set_blocking(descriptor, False)
    request = StopRequest(heard)

    def ask(_number: int, _frame: FrameType | None) -> None:
        request.ask()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    # Without a handler, the signal would not end the wait.
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    told_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        yield request
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(heard)


def wait_until(
    condition: Callable[[], bool], *, seconds: float, stop: StopRequest | None = None
) -> bool:
    """Poll ``condition``. Return whether it came true within ``seconds``.

    Raises :class:`StartStopped` as soon as ``stop`` is asked for, even if the condition is true.
    A child that is about to leave the terminal's group dies of the same Ctrl-C.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_true = condition()
        if stop is not None and stop.asked:
            raise StartStopped
        if is_true or time.monotonic() >= deadline:
            return is_true
        time.sleep(_POLL_SECONDS)

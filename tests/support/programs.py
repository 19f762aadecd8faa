"""Programs of Chronos that tests start.

On Linux they are forked from a process that has loaded them, as ``chronos up`` does. A start takes
a tenth of the processor's time then.
"""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from chronos_common.embedded.processes import forking, lock
from chronos_common.embedded.processes.forking import Forked, ForkServer, Outlets
from rigs import wait_until

COMMAND = (sys.executable, "-m", "chronos_common.cli")

_LOAD_SECONDS = 60
_POLL_SECONDS = 0.01


class ForkedProgram:
    """A forked program, with the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, forked: Forked, arguments: tuple[str, ...]) -> None:
        self._forked = forked
        self.args = arguments
        self.pid = forked.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal, once that was asked for after its end."""
        return self._forked.returncode

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._forked.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._forked.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(_POLL_SECONDS)
        return code


#: Either way to run a program.
Process = subprocess.Popen[bytes] | ForkedProgram


def start(arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> Process:
    """Start ``chronos`` with these arguments, in a session of its own.

    A program with a fault of its own is executed: it reads that while it loads.
    """
    has_fault = any(name.startswith("CHRONOS_FAULT_") for name in environment)
    with log.open("wb") as output:
        if not has_fault and (forked := _fork(arguments, environment, log, output.fileno())):
            return forked
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _fork(
    arguments: tuple[str, ...], environment: Mapping[str, str], log: Path, output: int
) -> ForkedProgram | None:
    held = lock.take(log.with_suffix(".lock"))
    assert held is not None
    try:
        outlets = Outlets(output, held, signal.SIGTERM)
        forked = _fork_server().fork(arguments, environment, outlets)
    finally:
        os.close(held)
    return forked and ForkedProgram(forked, arguments)


@cache
def _fork_server() -> ForkServer:
    """Return the one of this process, which ends with it."""
    open_now = ExitStack()
    server = open_now.enter_context(forking.serving())
    atexit.register(open_now.close)
    wait_until(server.has_loaded, within=_LOAD_SECONDS, every=0.05)
    return server

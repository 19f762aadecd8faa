"""Asks the fork server for children, which share its memory. It exists on Linux only.

A caller that gets ``None`` instead of a child executes the program, which takes more memory and
time.
"""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from chronos_common.embedded.processes import exec_child
from chronos_common.embedded.processes.fork_server import LARGEST_ANSWER, READY, Request

_COMMAND = ("-P", "-m", "chronos_common.embedded.processes.fork_server")
_ANSWER_SECONDS = 10.0


class Outlets(NamedTuple):
    """The descriptors of a child's log and lock, and its signal when the parent dies."""

    log: int
    lock: int
    stop_signal: int


class Forked:
    """A running child, with the part of ``subprocess.Popen`` that ``child`` uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or ``None`` while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """The process that forks the programs, while it lives. Use it from the main thread only."""

    def __init__(self, asking: socket.socket | None = None) -> None:
        self._asking = asking
        self._is_ready = False

    def has_loaded(self) -> bool:
        """Return whether it is ready, or has failed for good."""
        if self._asking and not self._is_ready and select.select([self._asking], [], [], 0)[0]:
            self._is_ready = True
            if self._answer() != READY:
                self._asking = None
        return self._is_ready or self._asking is None

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], outlets: Outlets
    ) -> Forked | None:
        """Run ``chronos <arguments>`` as a child of this process, or return ``None``."""
        if not arguments or not self.has_loaded() or self._asking is None:
            return None
        request = Request(
            arguments=tuple(arguments),
            environment=dict(environment),
            stop_signal=outlets.stop_signal,
            parent=os.getpid(),
        )
        try:
            with exec_child.adopting_orphans():
                socket.send_fds(self._asking, [request.pack()], [outlets.log, outlets.lock])
                return Forked(int(self._answer()))
        except (OSError, ValueError):  # it has ended
            self._asking = None
            return None

    def close(self) -> None:
        """Request no more children."""
        self._asking = None

    def _answer(self) -> bytes:
        """Return its answer, which is empty if it has ended."""
        return self._asking.recv(LARGEST_ANSWER) if self._asking else b""


@contextmanager
def serving() -> Iterator[ForkServer]:
    """Run a fork server during the ``with`` block. It takes a while to load."""
    if sys.platform != "linux":
        yield ForkServer()
        return
    asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asking.settimeout(_ANSWER_SECONDS)
    with asking:
        with asked:
            process = subprocess.Popen(  # noqa: S603 - our own program, without a shell
                [sys.executable, *_COMMAND],
                stdin=asked.fileno(),
                stdout=subprocess.DEVNULL,
                # If it cannot load, the programs are executed, and log the same error.
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        server = ForkServer(asking)
        try:
            yield server
        finally:
            server.close()
            process.kill()
            process.wait()

"""One child process, from its start to its certain end.

The child leads a session of its own, so that Ctrl-C in the terminal reaches only the supervisor,
which stops things in order. It holds the lock on ``run/<name>.lock`` as long as it or anything it
started lives. On Linux, the supervisor's death sends it a signal. So after any end of the
supervisor, the next start finds the remaining processes and ends them (see ``orphans``).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chronos_common.embedded.processes import exec_child, lock
from chronos_common.embedded.processes.forking import Forked, ForkServer, Outlets
from chronos_common.embedded.processes.logfile import LogFile
from chronos_common.embedded.processes.os_user import OSUser
from chronos_common.embedded.processes.shutdown import wait_until
from chronos_common.errors import ChronosError

_SECONDS_AFTER_KILL = 10


class ChildBusy(ChronosError):
    """Something of the child's previous life has not ended yet."""


class ChildFailed(ChronosError):
    """A child process ended although it should not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program of a child, and the signals that end it.

    ``stopping`` are signals in order, each with the seconds that the child gets to end. After the
    last comes SIGKILL. ``environment`` of ``None`` is this process's own.
    """

    name: str
    command: Sequence[str]
    #: Arguments of the ``chronos`` command, if this is one. It may then be forked.
    arguments: Sequence[str] = ()
    folder: Path
    environment: Mapping[str, str] | None = None
    stopping: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),)
    user: OSUser | None = None
    pass_closed_folders: bool = False


class Child:
    """A run, or several after one another, of a :class:`Program`."""

    def __init__(self, program: Program, fork_server: ForkServer | None = None) -> None:
        self.program = program
        self._fork_server = fork_server
        self.log = LogFile(program.folder / "logs" / f"{program.name}.log")
        self._lock = program.folder / "run" / f"{program.name}.lock"
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start = 0

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int:
        """The process id of the current or last run, or zero before the first."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the program. Some milliseconds later it runs, or has failed.

        Raises :class:`ChildBusy` while a process of its previous run lives.
        """
        self._lock.parent.mkdir(mode=0o700, exist_ok=True)
        self.log.keep_small()
        self._log_start = self.log.size()
        descriptor = lock.take(self._lock)
        if descriptor is None:
            raise ChildBusy(f"{self.name}: something of its previous run has not ended yet.")
        output = self.log.open_to_append()
        try:
            self._process = self._fork(output, descriptor) or self._execute(output, descriptor)
        finally:
            os.close(output)
            os.close(descriptor)

    def _fork(self, output: int, descriptor: int) -> Forked | None:
        program = self.program
        if self._fork_server is None or program.environment is None:
            return None
        outlets = Outlets(output, descriptor, program.stopping[0][0])
        return self._fork_server.fork(program.arguments, program.environment, outlets)

    def _execute(self, output: int, descriptor: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own programs, without a shell
            [*self._launcher(descriptor), *self.program.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=self.program.environment,
            pass_fds=[descriptor],
            start_new_session=True,
        )

    def is_running(self) -> bool:
        """Return whether it was started and has not ended. The end of a child ends its group."""
        if self._process is None or self._process.returncode is not None:
            return False
        if self._process.poll() is None:
            return True
        self._kill_group()  # now, before the group's number is used again
        return False

    def how_it_ended(self) -> str:
        """Describe the end of the last run in words, with its last line of output."""
        code = self._process.returncode if self._process else None
        if code is None:
            return "has not ended"
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended ({code})"
        said = self.last_lines(1)
        return f"{ending}: {said}" if said else ending

    def exit_code(self) -> int | None:
        """Return the last run's exit code, negative for a signal, or ``None`` while it runs."""
        return self._process.returncode if self._process else None

    def last_lines(self, lines: int) -> str:
        """Return the last lines that the current or last run wrote."""
        return "\n".join(self.log.last_lines(lines, since=self._log_start))

    def stop(self) -> None:
        """End it and everything it started, in the order of ``program.stopping``.

        Returns at once if it does not run.
        """
        for number, seconds in self.program.stopping:
            self.signal(number)
            if wait_until(lambda: not self.is_running(), seconds=seconds):
                break
        self.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child itself, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the child and all that it started. Return when all have ended."""
        if self._process is None:
            return
        if self.is_running():
            self._kill_group()
            wait_until(lambda: not self.is_running(), seconds=_SECONDS_AFTER_KILL)
        wait_until(lambda: lock.is_free(self._lock), seconds=_SECONDS_AFTER_KILL)

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it was alone in its group
                os.killpg(self._process.pid, signal.SIGKILL)

    def _launcher(self, descriptor: int) -> list[str]:
        """Return the command that prepares a new process and becomes the program."""
        user = self.program.user
        stop_signal = self.program.stopping[0][0]
        instructions = {
            "parent": os.getpid(),
            "lock": descriptor,
            "stop_signal": stop_signal,
            "user": [user.uid, user.gid] if user else None,
            "pass_closed_folders": self.program.pass_closed_folders,
        }
        return [sys.executable, "-IS", exec_child.__file__, json.dumps(instructions)]

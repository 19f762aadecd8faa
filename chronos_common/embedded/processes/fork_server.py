"""Loads the programs of Chronos once, and forks each of them, so that they share its memory.

``forking`` starts it as a process of its own, with a socket as standard input, and asks it there.
For each request it takes these steps:

1. It forks twice, and the process in between ends at once. The kernel then gives the program to
   the nearest ancestor that asked for orphans, which is ``chronos up``, to be its child.
2. The program takes the steps that ``child`` promises: it leads a session, writes to its log,
   holds its lock, and gets a signal when its parent dies.
3. It answers the request, and runs its command like a process that was started for it.

This process holds no connection and starts no thread, because neither outlives a fork. It ends
when the other side of the socket is closed.
"""

import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import psycopg2

from chronos_common import cli, settings
from chronos_common import environment as variables
from chronos_common.embedded.processes import exec_child

READY = b"ready"
LARGEST_ANSWER = 64
_LARGEST_REQUEST = 1 << 20

_STDIN = 0
_OUTPUTS = (1, 2)
_CONNECT_SECONDS = 5
_NO_ORPHAN_YET_SECONDS = 0.001
#: Of the fields of ``/proc/self/stat`` after the name (proc_pid_stat(5)).
_ARGUMENTS_START, _ARGUMENTS_END = 45, 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The ``chronos`` command to run, and its parent (see ``child.Program``)."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    stop_signal: int
    parent: int

    def pack(self) -> bytes:
        """Return the message that the socket carries."""
        return json.dumps(asdict(self)).encode()


def main() -> None:
    """Load everything, then fork a program for each request."""
    asked = socket.socket(fileno=os.dup(_STDIN))
    _load()
    asked.send(READY)
    if _serve(asked):
        cli.main()


def _load() -> None:
    for entry_point in cli.registered().values():
        module = import_module(entry_point.module)
        if hasattr(module, "preload"):
            module.preload()
    # The supervisor imports this module, too, and stays light.
    from chronos_common.process import startup  # noqa: PLC0415 - see above

    startup.tune_garbage_collection()


def _serve(asked: socket.socket) -> bool:
    """Return whether this process became a program. It is False when the socket is closed."""
    _show_as("fork-server")
    has_connected = False
    while True:
        content, descriptors, _, _ = socket.recv_fds(asked, _LARGEST_REQUEST, 2)
        if not content:
            return False
        request = Request(**json.loads(content))
        if not has_connected:
            has_connected = True
            _connect(request.environment)
        between = os.fork()
        if between == 0:
            own = os.getpid()
            if os.fork() != 0:
                os._exit(0)
            _become(request, *descriptors, orphaned_by=own)
            asked.send(str(os.getpid()).encode())
            asked.close()
            return True
        os.waitpid(between, 0)
        for each in descriptors:
            os.close(each)


def _connect(environment: Mapping[str, str]) -> None:
    """Connect to the database once: OpenSSL's data for that would take 6 MiB of each process."""
    with suppress(psycopg2.Error, KeyError):
        url = environment[f"{variables.PREFIX}DATABASE_URL"]
        psycopg2.connect(url, connect_timeout=_CONNECT_SECONDS).close()


def _become(request: Request, log: int, lock: int, *, orphaned_by: int) -> None:
    """Make this process the program that was asked for, all but running its command."""
    os.setsid()
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), _STDIN)
    for each in _OUTPUTS:
        os.dup2(log, each)
    os.close(log)
    while os.getppid() == orphaned_by:
        time.sleep(_NO_ORPHAN_YET_SECONDS)
    exec_child.hold(lock, stop_signal=request.stop_signal)
    exec_child.end_with(request.parent, stop_signal=request.stop_signal)
    settings.replace_environment(request.environment)
    sys.argv = ["chronos", *request.arguments]
    _show_as(*request.arguments)


def _show_as(*arguments: str) -> None:
    """Show ``chronos`` and these arguments as this process's command, in place of the real one.

    The kernel reads one text from there if the last byte of the old command is not zero.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    shown = " ".join(("chronos", *arguments)).encode()[: end - start - 2]
    if shown:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, shown, len(shown))
        ctypes.memset(end - 1, ord("."), 1)


if __name__ == "__main__":
    main()

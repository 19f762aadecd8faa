"""How the benchmarks start processes: as children that end with them, even if they are killed."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chronos_common.embedded.processes.child import Program

_STOP_SECONDS = 30.0


def program(
    name: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Program:
    """Return a program that logs into ``folder`` and ends at SIGTERM."""
    stopping = ((signal.SIGTERM, _STOP_SECONDS),)
    return Program(
        name=name, command=command, folder=folder, environment=environment, stopping=stopping
    )


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs ``module`` with this Python."""
    return [sys.executable, "-m", module, *arguments]

"""Ends the processes that a supervisor left behind when it was killed.

On Linux its death has sent them a stop signal already. This waits for their end, and kills the
rest.
"""

import contextlib
import os
import signal
from pathlib import Path

from chronos_common.embedded.processes import lock
from chronos_common.embedded.processes.shutdown import StopRequest, wait_until
from chronos_common.errors import ChronosError

_SECONDS_TO_STOP = 30
_SECONDS_AFTER_KILL = 10


class OrphanLives(ChronosError):
    """A process of an earlier start does not end."""


def names(folder: Path) -> list[str]:
    """Return the children of an earlier start that still live."""
    return [path.stem for path in _locks(folder) if not lock.is_free(path)]


def end(folder: Path, *, stop: StopRequest | None = None) -> None:
    """Return when no child of an earlier start lives. Slow ones are killed.

    1. Send each its stop signal: as long as its lock is held, its number is its own.
    2. Wait for all of them together.
    3. Kill the groups of those that are left.

    Raises :class:`OrphanLives` if even that did not end one.
    """
    held = [path for path in _locks(folder) if not lock.is_free(path)]
    for path in held:
        _send(path)
    wait_until(lambda: all(map(lock.is_free, held)), seconds=_SECONDS_TO_STOP, stop=stop)
    for path in held:
        if not lock.is_free(path):
            _send(path, kill=True)
        if not wait_until(lambda p=path: lock.is_free(p), seconds=_SECONDS_AFTER_KILL):  # type: ignore[misc]
            raise OrphanLives(
                f"A process of an earlier start does not end: {path.stem}, "
                f"{path.read_text().strip() or 'of unknown number'}. End it, then start again."
            )


def _locks(folder: Path) -> list[Path]:
    return sorted((folder / "run").glob("*.lock"))


def _send(path: Path, *, kill: bool = False) -> None:
    try:
        pid, stop_signal = map(int, path.read_text().split())
    except ValueError:
        return  # it was about to start when its parent died, and gives up by itself
    with contextlib.suppress(ProcessLookupError):
        if kill:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, stop_signal)

"""Locks on files: one ``chronos up`` per data folder, and one for each child process.

The operating system releases a lock when the last process that holds its file open has ended,
however it ended, so none is ever left over. The files themselves stay.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from chronos_common.errors import ChronosError


class FolderInUse(ChronosError):
    """Another 'chronos up' works in this folder."""


@contextmanager
def hold_folder(folder: Path, *, now: datetime) -> Iterator[None]:
    """Be the only ``chronos up`` in ``folder``, and note that in the lock file.

    Raises :class:`FolderInUse`, which names the holder.
    """
    path = folder / "up.lock"
    descriptor = take(path)
    if descriptor is None:
        raise FolderInUse(_holder_fault(path, folder))
    try:
        holder = {"pid": os.getpid(), "since": now.isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())
        yield
    finally:
        os.close(descriptor)


def take(path: Path) -> int | None:
    """Return a descriptor that holds the lock on ``path``, or ``None`` while it is held.

    A process that inherits the descriptor holds the lock too.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_free(path: Path) -> bool:
    """Return whether the lock on ``path`` is free."""
    descriptor = take(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def _holder_fault(path: Path, folder: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        holder_name = f"process {holder['pid']}, since {holder['since']}"
    except (ValueError, KeyError):  # it has not written its note yet
        holder_name = "a process that has just started"
    return (
        f"'chronos up' already works in {folder} ({holder_name}). "
        "Stop it first, or choose another folder with --data-dir."
    )

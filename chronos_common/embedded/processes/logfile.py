"""The log file of one child process: the child appends, the supervisor reads along.

A file rather than a pipe, so that a child can still write when its supervisor is suspended or
was killed.
"""

import contextlib
import os
from pathlib import Path

MAX_BYTES = 20 << 20
_CHUNK_BYTES = 64 << 10


class LogFile:
    """A file that grows to at most ``max_bytes``, and one older file beside it."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._position = path.stat().st_size if path.exists() else 0
        self._partial = b""

    def open_to_append(self) -> int:
        """Return a file descriptor for a child's output."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def new_lines(self) -> list[str]:
        """Return the complete lines that were written since the last call, at most 64 KiB."""
        try:
            if self.path.stat().st_size == self._position:
                return []
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._position:  # it was emptied
                    self._position = 0
                file.seek(self._position)
                chunk = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return []
        self._position += len(chunk)
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        self._partial = self._partial[-_CHUNK_BYTES:]
        return [line.decode(errors="replace") for line in lines]

    def last_lines(self, count: int, *, since: int = 0) -> list[str]:
        """Return the last ``count`` lines that are not empty, of those after byte ``since``."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(since, size - _CHUNK_BYTES))
                text = file.read(_CHUNK_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return []
        return [line for line in text.splitlines() if line.strip()][-count:]

    def size(self) -> int:
        """Return the size in bytes, zero for a file that does not exist yet."""
        return self.path.stat().st_size if self.path.exists() else 0

    def keep_small(self) -> None:
        """Move the content to ``<name>.1`` once the file is too large.

        The child keeps its descriptor, so the file is copied and emptied rather than renamed. A
        line written between the two is lost.
        """
        if self.size() <= self._max_bytes:
            return
        with contextlib.suppress(OSError):  # on a full disk the old lines are given up
            self._copy_end(self.path.with_name(self.path.name + ".1"))
        os.truncate(self.path, 0)
        self._position = 0

    def _copy_end(self, older: Path) -> None:
        with self.path.open("rb") as file:
            file.seek(-self._max_bytes, os.SEEK_END)
            older.write_bytes(file.read(self._max_bytes))
        older.chmod(0o600)

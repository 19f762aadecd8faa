"""Which lists were too long to count to their end, remembered for some seconds.

Counting as far as anyone does takes PostgreSQL more than finding the page, and whoever looks at a
long list does so again.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final

#: So long may a list that became short still be called long.
SECONDS: Final = 5.0
_MAX_KEPT: Final = 1000


class LongLists:
    """Remembers what was found to be long; a process has its own."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Take for how long."""
        self._seconds = seconds
        self._until: dict[Hashable, float] = {}

    def count(self, which: Hashable, count: Callable[[], int], *, most: int) -> int:
        """Return what ``count`` finds in the list ``which``: ``most`` + 1 if there are more.

        A list that was found to be so long just now is not counted.
        """
        if self._until.get(which, 0.0) > time.monotonic():
            return most + 1
        counted = count()
        if counted > most:
            self._remember(which)
        return counted

    def _remember(self, which: Hashable) -> None:
        if len(self._until) >= _MAX_KEPT:
            self._until.clear()
        self._until[which] = time.monotonic() + self._seconds

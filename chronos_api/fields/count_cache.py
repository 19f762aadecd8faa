"""Lists that were too long to count to their end, remembered for some seconds.

Counting a long list takes PostgreSQL more time than finding a page of it, and a user who looks at
a long list asks for more of its pages.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final

#: Cache lifetime in seconds. A list that shrank may be reported as long until then.
SECONDS: Final = 5.0
_MAX_KEPT: Final = 1000


class LongLists:
    """Remembers long lists. Each process has its own."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[Hashable, float] = {}

    def count(self, which: Hashable, count: Callable[[], int], *, most: int) -> int:
        """Return the length of the list ``which``, or ``most`` + 1 if it is longer than ``most``.

        A list that was long some seconds ago is not counted by ``count`` again.
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

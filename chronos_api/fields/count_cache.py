"""Lists that were too long to count to their end, remembered for some seconds.

Counting a long list takes PostgreSQL more time than finding a page of it. A user who looks at a
long list asks for more of its pages.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final

from chronos_common.storage.pages import Count

#: Cache lifetime in seconds. A list that shrank may be reported as long until then.
SECONDS: Final = 5.0
_MAX_KEPT: Final = 1000


class LongLists:
    """Remembers the counts of long lists. Each process has its own."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._counts: dict[Hashable, tuple[float, Count]] = {}

    def count(self, which: Hashable, count: Callable[[], Count]) -> Count:
        """Return the length of the list ``which``.

        A list that was not counted to its end some seconds ago is not counted again.
        """
        until, known = self._counts.get(which, (0.0, None))
        if known is not None and until > time.monotonic():
            return known
        counted = count()
        if not counted.is_exact:
            self._remember(which, counted)
        return counted

    def _remember(self, which: Hashable, counted: Count) -> None:
        if len(self._counts) >= _MAX_KEPT:
            self._counts.clear()
        self._counts[which] = time.monotonic() + self._seconds, counted

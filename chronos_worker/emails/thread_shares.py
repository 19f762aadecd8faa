"""Thread shares: how many of a queue's threads the e-mails of one workspace may hold.

A mail server may take minutes for the recipients of one workspace. Its e-mails would hold every
thread, and those of the others would wait for its timeouts.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic
from typing import Final

from chronos_common.settings import Settings
from chronos_worker.exhaustion import Exhausted

#: Threads of each queue of blocking actions: mail servers refuse many connections of one client.
MAX_THREADS: Final = 16

#: A sharer may hold so many times the threads that stay free. Its second thread needs a free one.
_TIMES_FREE: Final = 3

#: A sharer that is at its bound waits for its own e-mails, as long as one ends this often.
PATIENCE_SECONDS: Final = 1.0

_LACK: Final = "a thread, of which other e-mails of the workspace hold its share"


def threads_of(settings: Settings) -> int:
    """Return how many threads each queue of blocking actions has."""
    return min(settings.worker_threads, MAX_THREADS)


class ThreadShares:
    """Lends the threads of one queue to those who share them. Thread-safe."""

    def __init__(self, threads: int, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._free = threads
        self._patience_seconds = patience_seconds
        self._held: Counter[Hashable] = Counter()
        #: When a thread of each sharer was last taken or given back.
        self._moved_at: dict[Hashable, float] = {}
        self._changed = Condition()

    @contextmanager
    def lent(self, sharer: Hashable) -> Iterator[None]:
        """Hold a thread for ``sharer`` during the block.

        Raises :class:`Exhausted` if it is at its bound, and none of its threads gets free soon.
        """
        self._take(sharer)
        try:
            yield
        finally:
            self._give_back(sharer)

    def _take(self, sharer: Hashable) -> None:
        with self._changed:
            while self._is_at_bound(sharer):
                left = self._moved_at[sharer] + self._patience_seconds - monotonic()
                if left <= 0:
                    raise Exhausted(_LACK)
                self._changed.wait(left)
            self._free -= 1
            self._held[sharer] += 1
            self._moved_at[sharer] = monotonic()

    def _is_at_bound(self, sharer: Hashable) -> bool:
        held = self._held[sharer]
        return held > 0 and held + 1 > _TIMES_FREE * (self._free - 1)

    def _give_back(self, sharer: Hashable) -> None:
        with self._changed:
            self._free += 1
            self._held[sharer] -= 1
            self._moved_at[sharer] = monotonic()
            if not self._held[sharer]:
                del self._held[sharer], self._moved_at[sharer]
            self._changed.notify_all()

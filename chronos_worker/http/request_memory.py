"""Request memory: how many bytes of large requests one worker holds, waiting or under way.

A body may have 256 KiB, and requests wait in thousands for targets that hang. Small requests are
bounded by their number.
"""

import weakref
from collections import Counter
from threading import RLock
from typing import Final
from uuid import UUID

from chronos_worker.exhaustion import Exhausted
from chronos_worker.http.request import RequestTemplate
from chronos_worker.http.request_template import LARGEST_SMALL, size_of

#: Of all large requests.
MAX_BYTES: Final = 256 << 20

#: A request is there twice, as its job's payload and as it is sent.
_COPIES: Final = 2

#: A workspace may hold so many times the bytes that stay free.
_TIMES_FREE: Final = 3


class RequestMemory:
    """Counts the large requests, each until nobody refers to it any more. Thread-safe."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._free = max_bytes
        self._held: Counter[UUID] = Counter()
        # Collecting garbage may give bytes back in the middle of a change.
        self._lock = RLock()

    def hold(self, workspace_id: UUID, template: RequestTemplate) -> None:
        """Count a request that is kept from now on.

        Raises :class:`Exhausted` if there is no room for it.
        """
        size = size_of(template)
        if size <= LARGEST_SMALL:
            return
        size *= _COPIES
        with self._lock:
            if self._held[workspace_id] + size > _TIMES_FREE * (self._free - size):
                raise Exhausted("memory for large requests")
            self._change(workspace_id, size)
        weakref.finalize(template, self._change, workspace_id, -size).atexit = False

    def _change(self, workspace_id: UUID, size: int) -> None:
        with self._lock:
            self._free -= size
            self._held[workspace_id] += size
            if not self._held[workspace_id]:
                del self._held[workspace_id]

"""Listen: be notified of changes by other processes, instead of polling for them often.

A notification is a hint. It may come before the change is visible, twice, or, while Redis is away,
never. So the loops look several times after each, and now and then without any.
"""

from collections.abc import Callable
from contextlib import suppress

import structlog
from redis import Redis
from redis.exceptions import RedisError

from chronos_common.events import CHANGED
from chronos_common.process.loops import FIRST_PAUSE_SECONDS, Loop

_log = structlog.get_logger(__name__)

#: Longest wait for a message.
WAIT_SECONDS = 5.0


class Listener:
    """Calls ``hint``, in a thread of its own, when any process changed something.

    It connects in :meth:`start`.
    """

    def __init__(self, redis: Redis, hint: Callable[[], None]) -> None:
        self._redis = redis
        self._hint = hint
        self._channel = redis.pubsub()  # type: ignore[no-untyped-call]
        self._is_away = False
        self._hears = False
        self._loop = Loop("listen", self._hear, idle_seconds=FIRST_PAUSE_SECONDS)

    @property
    def hears(self) -> bool:
        """Return whether this process is subscribed now, as far as it can tell."""
        return self._hears

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    def stop(self) -> None:
        """End the thread, by publishing a message to it."""
        self._loop.stop()
        with suppress(RedisError):
            self._redis.publish(CHANGED, b"")
        if self._loop.join(timeout=2):
            self._channel.close()
            self._redis.close()

    def _hear(self) -> bool:
        """Wait for one message. Return whether Redis answers."""
        try:
            if not self._channel.subscribed:
                self._channel.subscribe(CHANGED)
            # A confirmed subscription counts as a message, because changes before it may have been
            # missed.
            message = self._channel.get_message(timeout=WAIT_SECONDS)
        except RedisError as error:
            if not self._is_away:
                _log.warning("cannot listen for changes", error=str(error))
            self._is_away, self._hears = True, False
            return False
        self._is_away, self._hears = False, True
        if message is not None:
            self._hint()
        return True

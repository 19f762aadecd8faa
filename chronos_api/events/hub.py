"""Live event streams of this process: one thread reads Redis for all of them.

1. A subscription says that its workspace is watched, and enters its queue here.
2. It reads the events after the last one that its client saw, if that is still there.
3. A few times a second, the hub reads the streams of all workspaces that are watched, and puts
   their entries into the queues. Each subscription leaves out the entries of step 2.
4. A client that does not keep up is disconnected.
"""

import socket
import time
from collections.abc import Sequence
from threading import Lock
from typing import Any, cast
from uuid import UUID, uuid4

import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError

from chronos_api.events.subscriptions import Changes, Entry, KeepAlive, Reset, Subscription
from chronos_common import clock, events, ids
from chronos_common.errors import Unavailable
from chronos_common.process.loops import Loop

_log = structlog.get_logger(__name__)

TICK_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
#: A workspace counts as watched for so long after a subscription was renewed.
WATCHED_SECONDS = 600
#: How often subscriptions are renewed.
RENEW_SECONDS = 60.0

#: Changes whenever Redis has lost its data.
_EPOCH = "chronos:events:epoch"


class TooManyStreams(Unavailable):
    """This process has as many event streams as it may. Try again in a moment."""


class Hub:
    """Hands the events of the workspaces' streams to their subscriptions."""

    def __init__(self, redis: Redis, *, limit: int) -> None:
        # Its types do not show that it answers bytes.
        self._redis: Any = redis
        self._limit = limit
        self._lock = Lock()
        self._subscriptions: set[Subscription] = set()
        self._positions: dict[UUID, bytes] = {}
        self._epoch: bytes | None = None
        self._renew_at = 0.0
        self._heartbeat_at = 0.0
        self._away = False
        self._stopping = False
        self._loop: Loop | None = None

    def subscribe(
        self,
        workspace_id: UUID,
        *,
        last_seen: str | None,
        seconds: float,
        connection: socket.socket | None,
    ) -> Subscription:
        """Open a stream for at most ``seconds``. :meth:`unsubscribe` must close it.

        It begins with the events after ``last_seen``, or with a reset if they are not known any
        more. Raises :class:`TooManyStreams`.
        """
        subscription = Subscription(workspace_id, time.monotonic() + seconds, connection)
        with self._lock:
            if len(self._subscriptions) >= self._limit or self._stopping:
                raise TooManyStreams
            self._subscriptions.add(subscription)
            if self._loop is None:
                self._loop = Loop("streams", self._tick, idle_seconds=TICK_SECONDS)
                self._loop.start()
        try:
            self._begin(subscription, last_seen)
        except RedisError as error:
            _log.warning("event stream without its beginning", error=str(error))
            subscription.put(Reset("Redis does not answer."))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a stream that ended."""
        subscription.close()
        with self._lock:
            self._subscriptions.discard(subscription)

    def stop(self) -> None:
        """End every stream within a tick. A signal's handler may call this."""
        self._stopping = True

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, if it ever began."""
        if self._loop is not None:
            self._loop.stop()
            self._loop.join(timeout)

    def _begin(self, subscription: Subscription, last_seen: str | None) -> None:
        workspace_id = subscription.workspace_id
        self._watch([workspace_id])
        key = events.stream_of(workspace_id)
        if last_seen is None:
            subscription.seen = self._end_of(key)
        else:
            since = self._redis.xrange(key, min=last_seen, count=events.MAX_SUMS * 2)
            if since and since[0][0] == last_seen.encode():
                subscription.seen = since[0][0]
                subscription.put(Changes(_entries(since[1:])))
            else:
                subscription.put(Reset("What came since is not known any more."))
                subscription.seen = self._end_of(key)
        with self._lock:
            self._positions.setdefault(workspace_id, subscription.seen)

    def _end_of(self, key: str) -> bytes:
        latest: list[tuple[bytes, Any]] = self._redis.xrevrange(key, count=1)
        return latest[0][0] if latest else b"0-0"

    def _watch(self, workspace_ids: Sequence[UUID]) -> None:
        now = ids.milliseconds(clock.now())
        pipeline = self._redis.pipeline(transaction=False)
        until = now + WATCHED_SECONDS * 1000
        pipeline.zadd(events.WANTED, {str(each): until for each in workspace_ids})
        pipeline.zremrangebyscore(events.WANTED, "-inf", now)
        pipeline.execute()

    def _tick(self) -> bool:
        with self._lock:
            subscriptions = list(self._subscriptions)
        if self._stopping:
            for each in subscriptions:
                each.close()
            return False
        self._keep_up(subscriptions)
        watched = {each.workspace_id for each in subscriptions}
        with self._lock:
            for workspace_id in self._positions.keys() - watched:
                del self._positions[workspace_id]
        if watched:
            try:
                self._follow(watched, subscriptions)
            except RedisError as error:
                if not self._away:
                    _log.warning("cannot read live events", error=str(error))
                self._away = True
            else:
                self._away = False
        else:
            self._epoch = None
        return False

    def _keep_up(self, subscriptions: Sequence[Subscription]) -> None:
        for each in subscriptions:
            if each.is_slow():
                _log.warning("slow event stream ended", workspace_id=str(each.workspace_id))
                each.close(abort=True)
            elif each.is_gone():
                each.close()
        if time.monotonic() >= self._heartbeat_at:
            self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
            for each in subscriptions:
                each.put(KeepAlive())

    def _follow(self, watched: set[UUID], subscriptions: Sequence[Subscription]) -> None:
        if self._was_lost():
            self._renew_at = 0.0
            for each in subscriptions:
                each.put(Reset("Redis was emptied."))
        if time.monotonic() >= self._renew_at:
            self._watch(sorted(watched))
            self._renew_at = time.monotonic() + RENEW_SECONDS
        for workspace_id, entries in self._read(watched).items():
            for each in subscriptions:
                if each.workspace_id == workspace_id:
                    each.put(Changes(entries))

    def _was_lost(self) -> bool:
        """Return whether Redis has lost its data since the last tick."""
        epoch = self._redis.get(_EPOCH)
        if epoch is None:
            self._redis.set(_EPOCH, uuid4().hex, nx=True)
            epoch = self._redis.get(_EPOCH)
        before, self._epoch = self._epoch, epoch if isinstance(epoch, bytes) else None
        return before is not None and before != self._epoch

    def _read(self, watched: set[UUID]) -> dict[UUID, list[Entry]]:
        """Return the entries since the last tick, and go on behind them."""
        for workspace_id in watched - self._positions.keys():
            end = self._end_of(events.stream_of(workspace_id))
            with self._lock:
                self._positions.setdefault(workspace_id, end)
        by_key = {events.stream_of(each).encode(): each for each in watched}
        positions = {key: self._positions[each] for key, each in by_key.items()}
        found = {}
        for key, items in self._redis.xread(positions, count=events.MAX_SUMS * 2):
            found[by_key[key]] = _entries(items)
            with self._lock:
                self._positions[by_key[key]] = items[-1][0]
        return found


_EXTENSION = "chronos-events"


def register(app: Flask, redis: Redis, *, limit: int) -> None:
    """Give the application its hub."""
    app.extensions[_EXTENSION] = Hub(redis, limit=limit)


def of(app: Flask) -> Hub:
    """Return the hub of the application."""
    return cast(Hub, app.extensions[_EXTENSION])


def _entries(items: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
    """Read a part of a stream, without entries of other programs."""
    entries = []
    for identifier, fields in items:
        try:
            entries.append(Entry(identifier, events.read_sums(fields[events.FIELD])))
        except (ValueError, KeyError):
            _log.warning("not a live event of ours", id=identifier.decode())
    return entries

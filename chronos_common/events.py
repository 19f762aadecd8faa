"""Live events: the changes of a workspace, through Redis, for its watchers.

1. An API process that watches a workspace says so in the sorted set ``WANTED``, with an expiry.
2. Each process sums up its changes per workspace. At most a few times a second it appends the sums
   to the streams of the watched workspaces. Streams are bounded and expire. Each flush also
   publishes on the channel ``CHANGED``, to which schedulers listen.
3. The API reads the streams and sums up again (``chronos_api.events.hub``).

Events are hints: while Redis is away they are dropped and counted. No change waits for them.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Lock
from typing import Any
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from chronos_common import clock, ids, metrics
from chronos_common.domain.executions import Moved
from chronos_common.process.loops import Loop
from chronos_common.storage.change_feed import Change, UserAction

_log = structlog.get_logger(__name__)

WANTED = "chronos:events:wanted"
CHANGED = "chronos:events:changed"
_STREAM = "chronos:events:{}"
FIELD = b"sums"

#: The least time between two flushes.
FLUSH_SECONDS = 0.25
#: A change ends the rest.
REST_SECONDS = 3600.0
#: Sums that a stream holds, about.
MAX_SUMS = 200
EXPIRE_SECONDS = 900

#: Changes that a sum names, the latest ones. The others are only counted.
MAX_NAMED = 20
#: Workspaces of one flush: far more than are watched at a time.
MAX_WORKSPACES = 2000


def stream_of(workspace_id: UUID) -> str:
    """Return the key of the workspace's stream."""
    return _STREAM.format(workspace_id)


@dataclass(slots=True)
class Sums:
    """The changes of one workspace within a moment.

    ``executions`` counts moves by the status they led to, and ``latest`` names the latest of them.
    ``actions`` names the actions of users, and ``omitted`` counts those that are not named.
    """

    executions: Counter[str] = field(default_factory=Counter)
    latest: list[Moved | Mapping[str, str]] = field(default_factory=list)
    actions: list[UserAction | Mapping[str, str]] = field(default_factory=list)
    omitted: int = 0

    def add(self, change: Change) -> None:
        """Add one change."""
        match change:
            case Moved():
                self.executions[change.status] += 1
                self.latest.append(change)
            case UserAction():
                self.actions.append(change)
        self._shorten()

    def merge(self, later: "Sums") -> None:
        """Add the sums of a later moment."""
        self.executions.update(later.executions)
        self.latest += later.latest
        self.actions += later.actions
        self.omitted += later.omitted
        self._shorten()

    def _shorten(self) -> None:
        # Cutting at twice the length keeps most changes from moving the whole list.
        if len(self.latest) > MAX_NAMED * 2:
            del self.latest[:-MAX_NAMED]
        if len(self.actions) > MAX_NAMED * 2:
            self.omitted += len(self.actions) - MAX_NAMED
            del self.actions[:-MAX_NAMED]

    def document(self) -> dict[str, Any]:
        """Return the sums as a JSON object."""
        left_out = max(len(self.actions) - MAX_NAMED, 0)
        return {
            "executions": dict(self.executions),
            "latest": [_shown(each) for each in self.latest[-MAX_NAMED:]],
            "actions": [_shown(each) for each in self.actions[-MAX_NAMED:]],
            "omitted": self.omitted + left_out,
        }


def _shown(change: Change | Mapping[str, str]) -> Mapping[str, str]:
    match change:
        case Moved():
            ids_shown = {"id": str(change.id), "job_id": str(change.job_id)}
            return ids_shown | {"status": change.status}
        case UserAction():
            id_shown = {"subject": change.subject_type, "id": str(change.subject_id)}
            return id_shown | {"action": change.action}
        case _:
            return change


def read_sums(content: bytes) -> Sums:
    """Read a JSON object of :meth:`Sums.document`. Raises ``ValueError`` for anything else."""
    try:
        document = json.loads(content)
        return Sums(
            executions=Counter({str(k): int(v) for k, v in document["executions"].items()}),
            latest=list(document["latest"]),
            actions=list(document["actions"]),
            omitted=int(document["omitted"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a sum of ours") from error


class EventPublisher:
    """Sums up changes and publishes the sums, in a thread that the first change starts."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = Lock()
        self._sums: dict[UUID, Sums] = {}
        self._stopping = Event()
        self._loop: Loop | None = None

    def stop(self) -> None:
        """Publish the changes gathered so far, and end."""
        self._stopping.set()
        if self._loop is not None:
            self._loop.stop()
            self._loop.join(timeout=2)
        self.flush()

    def put(self, changes: Sequence[Change]) -> None:
        """Gather changes. This never waits and never raises."""
        dropped = 0
        with self._lock:
            for change in changes:
                sums = self._sums.get(change.workspace_id)
                if sums is None:
                    if len(self._sums) >= MAX_WORKSPACES:
                        dropped += 1
                        continue
                    sums = self._sums[change.workspace_id] = Sums()
                sums.add(change)
            if self._loop is None:
                self._loop = Loop("events", self._flush_and_gather, idle_seconds=REST_SECONDS)
                self._loop.start()
            elif changes:
                self._loop.wake()
        if dropped:
            metrics.EVENTS_DROPPED.inc(dropped)

    def _flush_and_gather(self) -> bool:
        """Publish the first change at once, and those of the next moment together."""
        self.flush()
        self._stopping.wait(FLUSH_SECONDS)
        return False

    def flush(self) -> None:
        """Publish the sums gathered so far."""
        with self._lock:
            taken, self._sums = self._sums, {}
        if taken:
            try:
                self._publish(taken, now=clock.now())
            except RedisError as error:
                metrics.EVENTS_DROPPED.inc(len(taken))
                _log.warning("live events dropped", workspaces=len(taken), error=str(error))

    def _publish(self, taken: dict[UUID, Sums], *, now: datetime) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.publish(CHANGED, b"")
        pipeline.zrange(WANTED, ids.milliseconds(now), "+inf", byscore=True)
        _, wanted = pipeline.execute()
        watched = {each.decode() for each in wanted if isinstance(each, bytes)}
        if not watched:
            return
        for workspace_id, sums in taken.items():
            if str(workspace_id) in watched:
                key = stream_of(workspace_id)
                pipeline.xadd(
                    key, {FIELD: json.dumps(sums.document())}, maxlen=MAX_SUMS, approximate=True
                )
                pipeline.expire(key, EXPIRE_SECONDS)
        pipeline.execute()

"""One client's part of the live events: what waits for it, and whether it takes it."""

import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Condition
from uuid import UUID

import structlog

from chronos_common.events import Sums

_log = structlog.get_logger(__name__)

#: After so long without a message there is an idle one.
IDLE_SECONDS = 2.0
#: A client that leaves something waiting for so long, or so much of it, is slow.
SLOWEST_SECONDS = 10.0
MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """What changed in a moment; ``id`` is its place in the workspace's stream."""

    id: bytes
    sums: Sums


@dataclass(frozen=True, slots=True)
class News:
    """What came within one tick, in order."""

    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Reset:
    """Something may have been missed: whoever looks must read the whole again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing: a sign of life."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a while; nothing needs to be sent."""


Message = News | Reset | Heartbeat | Idle


@dataclass(eq=False, slots=True)
class Subscription:
    """One client's queue; iterating over it waits for messages until the stream ends."""

    workspace_id: UUID
    ends: float
    connection: socket.socket | None
    changed: Condition = field(default_factory=Condition)
    waiting: deque[tuple[float, Message]] = field(default_factory=deque)
    closed: bool = False
    seen: bytes | None = None

    def put(self, message: Message) -> None:
        """Leave a message to the client; never waits."""
        with self.changed:
            self.waiting.append((time.monotonic(), message))
            self.changed.notify()

    def close(self, *, abort: bool = False) -> None:
        """End the stream; ``abort`` also ends a write that the client does not take."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        if abort and self.connection is not None:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                _log.debug("the client was gone already")

    def is_slow(self) -> bool:
        """Tell whether the client does not take what waits for it."""
        with self.changed:
            if not self.waiting:
                return False
            waited = time.monotonic() - self.waiting[0][0]
            return waited > SLOWEST_SECONDS or len(self.waiting) > MAX_WAITING

    def is_gone(self) -> bool:
        """Tell whether the client has hung up; writing would show it much later."""
        # Over TLS nothing can be looked at without taking it.
        if type(self.connection) is not socket.socket:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def __iter__(self) -> Iterator[Message]:
        while True:
            with self.changed:
                left = self.ends - time.monotonic()
                self.changed.wait_for(lambda: self.waiting or self.closed, min(left, IDLE_SECONDS))
                if self.closed or self.ends <= time.monotonic():
                    return
                message = self.waiting.popleft()[1] if self.waiting else Idle()
            if isinstance(message, News):
                entries = [each for each in message.entries if _follows(each.id, self.seen)]
                if not entries:
                    continue
                self.seen = entries[-1].id
                message = News(entries)
            yield message


def _follows(identifier: bytes, seen: bytes | None) -> bool:
    return seen is None or _place(identifier) > _place(seen)


def _place(identifier: bytes) -> tuple[int, int]:
    milliseconds, _, number = identifier.partition(b"-")
    return int(milliseconds), int(number)

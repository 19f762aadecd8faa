"""One client's subscription to live events: its queue, and whether the client keeps up."""

import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Condition
from uuid import UUID

import structlog

from chronos_common.events import Sums

_log = structlog.get_logger(__name__)

#: After so many seconds without a message, the stream gets an idle one.
IDLE_SECONDS = 2.0
#: A client is slow if its first message has waited for longer than this.
SLOWEST_SECONDS = 10.0
#: A client is slow if more messages than this wait for it.
MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """The changes of a moment. ``id`` is their place in the workspace's stream."""

    id: bytes
    sums: Sums


@dataclass(frozen=True, slots=True)
class Changes:
    """The entries of one tick, in order."""

    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Reset:
    """Events may have been missed: the client must read the whole again."""

    reason: str


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A sign of life, without content."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No message came for a while, and none needs to be sent."""


Message = Changes | Reset | KeepAlive | Idle


@dataclass(eq=False, slots=True)
class Subscription:
    """The queue of one client. Iterating waits for messages until the stream ends."""

    workspace_id: UUID
    ends: float
    connection: socket.socket | None
    changed: Condition = field(default_factory=Condition)
    waiting: deque[tuple[float, Message]] = field(default_factory=deque)
    closed: bool = False
    seen: bytes | None = None

    def put(self, message: Message) -> None:
        """Leave a message to the client, without waiting."""
        with self.changed:
            self.waiting.append((time.monotonic(), message))
            self.changed.notify()

    def close(self, *, abort: bool = False) -> None:
        """End the stream. ``abort`` also ends a write that the client does not read."""
        with self.changed:
            self.closed = True
            self.changed.notify()
        if abort and self.connection is not None:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                _log.debug("the client was gone already")

    def is_slow(self) -> bool:
        """Return whether the client does not keep up with its messages."""
        with self.changed:
            if not self.waiting:
                return False
            waited = time.monotonic() - self.waiting[0][0]
            return waited > SLOWEST_SECONDS or len(self.waiting) > MAX_WAITING

    def is_gone(self) -> bool:
        """Return whether the client has hung up. Writing would show that much later."""
        # Over TLS nothing can be looked at without taking it.
        if self.connection is None or isinstance(self.connection, ssl.SSLSocket):
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
            if isinstance(message, Changes):
                entries = [each for each in message.entries if _follows(each.id, self.seen)]
                if not entries:
                    continue
                self.seen = entries[-1].id
                message = Changes(entries)
            yield message


def _follows(identifier: bytes, seen: bytes | None) -> bool:
    return seen is None or _place(identifier) > _place(seen)


def _place(identifier: bytes) -> tuple[int, int]:
    milliseconds, _, number = identifier.partition(b"-")
    return int(milliseconds), int(number)

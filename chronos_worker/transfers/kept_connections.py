"""Kept connections: they decide whether the next request may use one again.

libcurl looks for dead connections only once a second, and repeats a request that met one. Chronos
must not repeat requests by itself, so it checks the connection before each request.
"""

import re
import select
from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from time import monotonic
from typing import Any, Final

#: (address, local address, port, local port), as libcurl gives them.
Ends = tuple[Any, ...]

#: Enough for jobs of every second. Common servers close idle connections after 2 s (gunicorn), 5 s
#: (Node, Apache) or 75 s (nginx), and a request that crosses such a close is lost.
MAX_IDLE_SECONDS: Final = 1.5

# The idle time that a server announces.
_ANNOUNCED: Final = re.compile(r"\btimeout\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)
# The part of it that the request needs to arrive.
_LATENCY_SECONDS: Final = 0.5

# Beyond this number the oldest is dropped, and its connection replaced by a new one.
_MAX_REMEMBERED: Final = 20_000

# The target closed the connection. Without POLLRDHUP, poll() reports only a reset.
_ENDED: Final[int] = getattr(select, "POLLRDHUP", 0)
# That, or it sent bytes, which would be taken for the answer to the next request.
_SPOILED: Final = select.POLLIN


@dataclass(slots=True)
class _KeptConnection:
    """The socket of a connection, and the time of its last request."""

    descriptor: int
    poller: select.poll
    used: float
    max_idle_seconds: float


class KeptConnections:
    """The connections of one engine. Only its thread uses them."""

    def __init__(self) -> None:
        self._by_ends: dict[Ends, _KeptConnection] = {}

    def add(self, ends: Ends, descriptors: Sequence[int]) -> None:
        """Remember a new connection, whose socket is one of ``descriptors``."""
        # The same ends may come again with another socket.
        self._by_ends.pop(ends, None)
        found = next((each for each in descriptors if _local_port(each) == ends[3]), None)
        if found is None:
            return
        if len(self._by_ends) >= _MAX_REMEMBERED:
            del self._by_ends[next(iter(self._by_ends))]
        poller = select.poll()
        poller.register(found, _ENDED)
        self._by_ends[ends] = _KeptConnection(found, poller, monotonic(), MAX_IDLE_SECONDS)

    def answered_alone(self, ends: Ends, keep_alive: str) -> None:
        """Note a connection's first answer over HTTP/1, with its field ``Keep-Alive``.

        Bytes that come from now on belong to no request. HTTP/2 is different: its frames may come
        at any time.
        """
        connection = self._by_ends.get(ends)
        if connection is None:
            return
        connection.poller.modify(connection.descriptor, _SPOILED)
        announced = _ANNOUNCED.search(keep_alive)
        if announced:
            seconds = int(announced[1]) - _LATENCY_SECONDS
            connection.max_idle_seconds = min(seconds, connection.max_idle_seconds)

    def may_carry_another(self, ends: Ends) -> bool:
        """Return whether a kept connection is open and quiet, and was used recently."""
        connection = self._by_ends.get(ends)
        now = monotonic()
        if (
            connection is None
            or now - connection.used > connection.max_idle_seconds
            or connection.poller.poll(0)
        ):
            self._by_ends.pop(ends, None)
            return False
        connection.used = now
        return True


def _local_port(descriptor: int) -> int | None:
    """Return the port of a socket that may be closed already."""
    try:
        borrowed = socket(fileno=descriptor)
    except OSError:
        return None
    try:
        port: int = borrowed.getsockname()[1]
    except (OSError, IndexError):
        return None
    finally:
        borrowed.detach()
    return port

"""One client's connection: the request that it is sending, and the unread part of the answer.

Only the worker's loop and, while a request is answered, one thread use a connection.
"""

import errno
import socket
from collections.abc import Callable
from enum import Enum, auto
from ipaddress import IPv6Address, ip_network
from threading import Condition
from time import monotonic
from typing import Any, Final

from chronos_api.server.framing import MemoryParser, RequestBuffer

#: How long a connection may bring or take less than the slowest rate.
STALL_SECONDS: Final = 20.0
#: The slowest rate. A modem of 1998 had ten times as much.
BYTES_PER_SECOND: Final = 500
#: A thread that has written so much more than its client has read waits for the client.
MAX_UNSENT: Final = 1 << 20
#: One customer has at least so many addresses of IPv6.
_IPV6_PREFIX: Final = 64


class Phase(Enum):
    """The state of a connection."""

    RECEIVING = auto()
    ANSWERING = auto()
    SENDING = auto()
    CLOSING = auto()


class Pace:
    """The instant at which a connection is given up. Each byte that moves puts it off."""

    def __init__(self, seconds: float) -> None:
        self.at = monotonic() + seconds

    def count(self, size: int) -> None:
        """Count ``size`` bytes that the client sent or read."""
        self.at = min(monotonic() + STALL_SECONDS, self.at + size / BYTES_PER_SECOND)


class Outgoing:
    """The bytes for a client, in the place of its socket.

    A write never waits for the client, except for one that is far behind.
    """

    def __init__(self, raw: socket.socket, unfinished: Callable[[], None]) -> None:
        self.raw = raw
        self.unsent = bytearray()
        self.pace = Pace(STALL_SECONDS)
        self.is_aborted = False
        self._unfinished = unfinished
        self._changed = Condition()

    def sendall(self, data: bytes) -> None:
        """Send ``data``, or as much as the client takes now, and leave the rest to the loop.

        Raises :class:`BrokenPipeError` if the client is gone or was given up.
        """
        with self._changed:
            rest = memoryview(data)
            if not self.unsent and not self.is_aborted:
                rest = rest[self._send(rest) :]
                self.pace = Pace(STALL_SECONDS)
            if not rest and not self.is_aborted:
                return
            self.unsent += rest
            self._unfinished()
            self._changed.wait_for(lambda: self.is_aborted or len(self.unsent) <= MAX_UNSENT)
            if self.is_aborted:
                raise BrokenPipeError(errno.EPIPE, "the client is gone or too slow")

    def flush(self) -> None:
        """Send more of the unsent bytes. The loop calls this when the client takes more."""
        with self._changed:
            size = self._send(memoryview(self.unsent))
            del self.unsent[:size]
            self.pace.count(size)
            self._changed.notify_all()

    def _send(self, data: memoryview) -> int:
        try:
            return self.raw.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._abort()
            return 0

    def abort(self) -> None:
        """End the connection, and the write of a thread that waits for it."""
        with self._changed:
            self._abort()

    def _abort(self) -> None:
        if self.is_aborted:
            return
        self.is_aborted = True
        self.unsent = bytearray()
        self._changed.notify_all()
        try:
            self.raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # The client was gone already.
        finally:
            self._unfinished()

    # gunicorn and the event streams call the rest, as if this were a socket.

    def shutdown(self, _how: int) -> None:
        """End the connection."""
        self.abort()

    def close(self) -> None:
        """End the connection. The loop closes the socket."""
        self.abort()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read from the socket, or look at it."""
        return self.raw.recv(size, flags)

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self.raw.fileno()

    def gettimeout(self) -> float:
        """Return the timeout of the socket, which never waits."""
        return 0.0

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """Ignore it: the socket never waits."""

    def settimeout(self, _seconds: float | None) -> None:
        """Ignore it, as above."""


class Connection:
    """A connection, with the attributes that gunicorn's threads read."""

    initialized = True
    data_ready = True
    is_http2 = False

    def __init__(
        self,
        cfg: Any,
        raw: socket.socket,
        client: Any,
        *,
        max_body: int,
        idle_seconds: float,
        changed: "Callable[[Connection], None]",
    ) -> None:
        self.client = client
        self.server = raw.getsockname()
        self.sock = Outgoing(raw, lambda: changed(self))
        self.network = _network_of(client)
        self.phase = Phase.RECEIVING
        self.parser: MemoryParser | None = None
        self.is_kept = False
        #: The events of the socket that the loop waits for.
        self.watched = 0
        self._cfg = cfg
        self._max_body = max_body
        self.expect_request(idle_seconds)

    def init(self) -> None:
        """Do nothing: there is nothing to agree on with the client."""

    def expect_request(self, idle_seconds: float) -> None:
        """Begin a request with the bytes that came behind the last one.

        Raises :class:`~chronos_api.server.framing.Refused`.
        """
        rest = self.parser.rest() if self.parser else b""
        self.parser, self._parsed = None, 0
        self.phase = Phase.RECEIVING
        self.since = monotonic()
        self.request = RequestBuffer(self._max_body)
        self.pace = Pace(idle_seconds)
        if rest:
            self.receive(rest)

    def receive(self, data: bytes) -> None:
        """Add bytes to the request. Raises :class:`~chronos_api.server.framing.Refused`."""
        if self.request.data:
            self.pace.count(len(data))
        else:
            self.pace = Pace(STALL_SECONDS)
        self.request.add(data)

    def parse(self) -> None:
        """Hand the request, which is complete, to the parser."""
        self.phase = Phase.ANSWERING
        data = bytes(self.request.data)
        self.request = RequestBuffer(self._max_body)
        self._parsed = len(data)
        self.parser = MemoryParser(self._cfg, data, self.client)

    @property
    def held(self) -> int:
        """The bytes that this connection takes in memory."""
        return len(self.request.data) + self._parsed + len(self.sock.unsent)

    def is_overdue(self, now: float) -> bool:
        """Return whether the client was too slow."""
        if self.sock.unsent:
            return self.sock.pace.at < now
        return self.phase is not Phase.ANSWERING and self.pace.at < now


def _network_of(client: Any) -> str:
    """Return the network of one customer: an address, or a network of IPv6."""
    address = str(client[0]) if isinstance(client, tuple) else ""
    if ":" not in address:
        return address
    host = IPv6Address(address.partition("%")[0])
    if host.ipv4_mapped:
        return str(host.ipv4_mapped)
    return str(ip_network((host, _IPV6_PREFIX), strict=False))

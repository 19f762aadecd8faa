"""A target below HTTP: it counts the requests that reach it, and ends connections in every way."""

import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from loopback import LoopbackServer
from targets import read_request

Ending = Literal["close", "reset", "half-close"]
Reads = Literal["nothing", "part", "all"]

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_NAMES = re.compile(rb"webhook-id: (\S+).*X-Chronos-Attempt: (\d+)", re.DOTALL)
# A socket that closes like this says no goodbye: the other side gets a reset.
_WITHOUT_GOODBYE = struct.pack("ii", 1, 0)


class Wire(LoopbackServer):
    """A server that answers ``answered`` requests of each connection, and ends it at the next.

    ``requests`` counts by ``webhook-id`` and attempt what reached it, read or not.
    """

    def __init__(
        self, ending: Ending, reads: Reads = "all", *, answered: int = 0, tls: bool = False
    ) -> None:
        super().__init__(tls=tls)
        self.ending, self.reads, self.answered = ending, reads, answered
        self.requests: Counter[tuple[str, int]] = Counter()
        self.url += "/"

    def serve(self, stream: socket.socket, number: int) -> None:  # noqa: ARG002 - the base's name
        for _ in range(self.answered):
            if not self._take(stream):
                return
            stream.sendall(_OK)
        self._take_last(stream)
        self._end(stream)

    def _take(self, stream: socket.socket) -> bool:
        """Read and count a whole request, if there is one."""
        received = read_request(stream, 0)
        if received:
            names = received.headers["webhook-id"], int(received.headers["x-chronos-attempt"])
            self._count(names)
        return received is not None

    def _take_last(self, stream: socket.socket) -> None:
        if self.reads == "all" or isinstance(stream, ssl.SSLSocket):
            self._take(stream)
            return
        seen = b""
        while not (found := _NAMES.search(seen)):
            waiting = stream.recv(1 << 16, socket.MSG_PEEK)
            if len(waiting) == len(seen):
                return
            seen = waiting
        self._count((found[1].decode(), int(found[2])))
        if self.reads == "part":
            stream.recv(20)

    def _count(self, names: tuple[str, int]) -> None:
        with self._lock:
            self.requests[names] += 1

    def _end(self, stream: socket.socket) -> None:
        if self.ending == "half-close":
            socket.socket.shutdown(stream, socket.SHUT_WR)
            # Until the other side has had enough, too.
            while stream.recv(1 << 16):
                pass
        elif self.ending == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_GOODBYE)


@contextmanager
def running(*arguments: Ending | Reads, answered: int = 0, tls: bool = False) -> Iterator[Wire]:
    wire = Wire(*arguments, answered=answered, tls=tls)  # type: ignore[arg-type]
    wire.start()
    try:
        yield wire
    finally:
        wire.close()

"""A target below HTTP: it counts the requests that reach it, and ends connections in every way."""

import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Literal

from targets import read_request, tls_context

Ending = Literal["close", "reset", "half-close"]
Reads = Literal["nothing", "part", "all"]

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_NAMES = re.compile(rb"webhook-id: (\S+).*X-Chronos-Attempt: (\d+)", re.DOTALL)
# A socket that closes like this says no goodbye: the other side gets a reset.
_WITHOUT_GOODBYE = struct.pack("ii", 1, 0)


class Wire:
    """A server that answers ``answered`` requests of each connection, and ends it at the next.

    ``requests`` counts by ``webhook-id`` and attempt what reached it, read or not.
    """

    def __init__(
        self, ending: Ending, reads: Reads = "all", *, answered: int = 0, tls: bool = False
    ) -> None:
        self.ending, self.reads, self.answered = ending, reads, answered
        self.requests: Counter[tuple[str, int]] = Counter()
        self.connections = 0
        self._tls = tls_context() if tls else None
        self._closing = Event()
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), self._secured(connection) as stream:
            for _ in range(self.answered):
                if not self._take(stream):
                    return
                stream.sendall(_OK)
            self._take_last(stream)
            self._end(stream)

    @contextmanager
    def _secured(self, connection: socket.socket) -> Iterator[socket.socket]:
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._open.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

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
    try:
        yield wire
    finally:
        wire.close()

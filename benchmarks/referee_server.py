"""The target of all webhooks: an HTTP server that logs each request with its time.

One thread on epoll, parsing just enough: some microseconds of CPU a request, so that it is not the
limit at 10,000 a second. Run as a process of its own:

    python -m benchmarks.referee_server PORT LOG

Each request becomes a line of LOG when its last byte is here: the time in nanoseconds, the job,
the execution, the scheduled instant and the attempt, as the request's headers give them. The path
says how to answer:

- ``/ok``: 200 at once.
- ``/fail-first``: 500 to the first attempt, 200 to the others.
- ``/after/MS``: 200 after so many milliseconds.

It listens on 127.0.0.1 to 127.0.0.8, so that there are several hosts to call.
"""

import gc
import heapq
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))

_BACKLOG = 4096
_RECEIVE_BYTES = 65_536
_FLUSH_SECONDS = 0.2
_FLUSH_LINES = 5_000


def _answer(status: bytes) -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\nServer: referee\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )


_OK = _answer(b"200 OK")
_ERROR = _answer(b"500 Internal Server Error")


class RefereeServer:
    """Answers requests until :meth:`stop`."""

    def __init__(self, port: int, log: Path) -> None:
        self._log = log.open("ab", buffering=0)
        self._lines: list[bytes] = []
        self._flushed = time.monotonic()
        self._epoll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._connections: dict[int, socket.socket] = {}
        self._unfinished: dict[int, bytes] = {}
        self._later: list[tuple[float, int, socket.socket]] = []
        self._stopped = False
        for host in HOSTS:
            listener = socket.create_server((host, port), backlog=_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003 - the socket module's signature
            self._listeners[listener.fileno()] = listener
            self._epoll.register(listener.fileno(), select.EPOLLIN)

    def stop(self) -> None:
        """End :meth:`serve` soon."""
        self._stopped = True

    def serve(self) -> None:
        """Answer requests until the end, and then flush the log."""
        poll, listeners = self._epoll.poll, self._listeners
        while not self._stopped:
            for descriptor, _ in poll(self._seconds_to_next()):
                if descriptor in listeners:
                    self._accept(listeners[descriptor])
                else:
                    self._receive(descriptor)
            self._answer_late_ones()
            now = time.monotonic()
            if len(self._lines) >= _FLUSH_LINES or now - self._flushed >= _FLUSH_SECONDS:
                self._flush(now)
        self._flush(time.monotonic())

    def _seconds_to_next(self) -> float:
        if not self._later:
            return _FLUSH_SECONDS
        return min(max(self._later[0][0] - time.monotonic(), 0), _FLUSH_SECONDS)

    def _flush(self, now: float) -> None:
        if self._lines:
            self._log.write(b"".join(self._lines))
            self._lines.clear()
        self._flushed = now

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)  # noqa: FBT003 - the socket module's signature
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[connection.fileno()] = connection
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _receive(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _RECEIVE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._close(descriptor)
            return
        if descriptor in self._unfinished:
            data = self._unfinished.pop(descriptor) + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or len(data) < end + _length_of_body(data, end):  # noqa: PLR2004 - as above
            self._unfinished[descriptor] = data
            return
        self._take(descriptor, data[:end])

    def _take(self, descriptor: int, head: bytes) -> None:
        attempt = _value(head, b"X-Chronos-Attempt: ")
        line = (
            time.time_ns(),
            _value(head, b"X-Chronos-Job-Id: "),
            _value(head, b"webhook-id: "),
            _value(head, b"X-Chronos-Scheduled-For: "),
            attempt,
        )
        self._lines.append(b"%d\t%b\t%b\t%b\t%b\n" % line)
        path = head[head.find(b" ") + 1 : head.find(b" HTTP/1.1\r\n")]
        if path.startswith(b"/after/"):
            due = time.monotonic() + int(path[7:]) / 1000
            heapq.heappush(self._later, (due, descriptor, self._connections[descriptor]))
        elif path == b"/fail-first" and attempt == b"1":
            self._send(descriptor, _ERROR)
        else:
            self._send(descriptor, _OK)

    def _answer_late_ones(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, descriptor, connection = heapq.heappop(self._later)
            if self._connections.get(descriptor) is connection:
                self._send(descriptor, _OK)

    def _send(self, descriptor: int, answer: bytes) -> None:
        # An answer is far smaller than an empty send buffer, so it goes out whole.
        try:
            os.write(descriptor, answer)
        except OSError:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._unfinished.pop(descriptor, None)
        self._connections.pop(descriptor).close()


def _value(head: bytes, name: bytes) -> bytes:
    """Return the value of the header that starts with ``name``, or "-" if it is missing."""
    start = head.find(name)
    if start < 0:
        return b"-"
    start += len(name)
    return head[start : head.find(b"\r\n", start)]


def _length_of_body(data: bytes, end: int) -> int:
    value = _value(data[:end], b"Content-Length: ")
    return 0 if value == b"-" else int(value)


def _stop_on_sigterm(stop: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: stop())


if __name__ == "__main__":
    server = RefereeServer(int(sys.argv[1]), Path(sys.argv[2]))
    _stop_on_sigterm(server.stop)
    gc.freeze()
    gc.disable()  # it makes no cycles, and a collection would look like drift
    server.serve()

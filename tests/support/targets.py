"""Targets of webhooks: HTTP servers on the loopback that record what arrives, and misbehave."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from loopback import LoopbackServer


@dataclass(frozen=True)
class Received:
    """A request as it arrived at ``time.time()`` over connection number ``connection``.

    Values of a header that came more than once are joined by commas.
    """

    arrived_at: float
    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Target(LoopbackServer):
    """A server that gives each request to ``answer``, which may do anything to the connection."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.received: list[Received] = []
        self.closed = 0
        self.busy = 0
        self.busiest = 0
        self.answer: Answer = reply()

    def paths(self) -> list[str]:
        return [each.path for each in self.received]

    def serve(self, stream: socket.socket, number: int) -> None:
        try:
            while received := read_request(stream, number):
                self._take(received, stream)
        finally:
            stream.close()
            with self._lock:
                self.closed += 1

    def _take(self, received: Received, stream: socket.socket) -> None:
        with self._lock:
            self.received.append(received)
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        try:
            self.answer(self, received, stream)
        finally:
            with self._lock:
                self.busy -= 1


Answer = Callable[[Target, Received, socket.socket], None]


def reply(status: int = 200, body: bytes = b"ok", headers: dict[str, str] | None = None) -> Answer:
    """Answer properly, keeping the connection."""
    fields = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    whole = f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body

    def answer(_target: Target, received: Received, stream: socket.socket) -> None:
        stream.sendall(whole[: -len(body)] if received.method == "HEAD" and body else whole)

    return answer


def raw(data: bytes) -> Answer:
    """Send ``data`` as it is, then close the connection."""

    def answer(_target: Target, _received: Received, stream: socket.socket) -> None:
        stream.sendall(data)
        raise OSError("closed on purpose")

    return answer


def hang(target: Target, _received: Received, _stream: socket.socket) -> None:
    """Never answer."""
    target.closing.wait()


def endless(head: bytes, piece: bytes, *, pause: float = 0) -> Answer:
    """Send ``head``, then ``piece`` again and again."""

    def answer(target: Target, _received: Received, stream: socket.socket) -> None:
        stream.sendall(head)
        while not target.closing.wait(pause):
            stream.sendall(piece)

    return answer


def after(seconds: float) -> Answer:
    """Answer properly, but late."""
    answer = reply()

    def slowly(target: Target, received: Received, stream: socket.socket) -> None:
        target.closing.wait(seconds)
        answer(target, received, stream)

    return slowly


def by_path(answers: dict[str, Answer]) -> Answer:
    """Answer each path in its own way."""

    def answer(target: Target, received: Received, stream: socket.socket) -> None:
        answers[received.path](target, received, stream)

    return answer


def read_request(stream: socket.socket, number: int) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = stream.recv(65536)
        if not chunk:
            return None
        data += chunk
    arrived_at = time.time()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        chunk = stream.recv(65536)
        if not chunk:
            return None
        body += chunk
    return Received(arrived_at, number, method, path, headers, body)

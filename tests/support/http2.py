"""A target that speaks just enough HTTP/2 (RFC 9113) to answer each stream, or to refuse it."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

from loopback import tls_context

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_REFUSED_STREAM = 7
# The entry of HPACK's static table (RFC 7541) for ":status: 200".
_STATUS_200 = b"\x88"


class Http2Target:
    """Counts the connections and the streams that it was asked for."""

    def __init__(self, *, refuses: bool) -> None:
        self.connections = 0
        self.streams = 0
        self._refuses = refuses
        self._lock = Lock()
        self._context = tls_context()
        self._context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client goes away when it has seen enough.
        with (
            suppress(OSError),
            self._context.wrap_socket(connection, server_side=True) as stream,
            stream.makefile("rb") as reader,
        ):
            reader.read(len(_PREFACE))
            stream.sendall(_frame(_SETTINGS, 0, 0))
            while len(head := reader.read(9)) == 9:
                kind, flags, number = struct.unpack(">BBI", head[3:])
                reader.read(int.from_bytes(head[:3], "big"))
                self._take(stream, kind, flags, number)

    def _take(self, stream: ssl.SSLSocket, kind: int, flags: int, number: int) -> None:
        if kind == _HEADERS:
            with self._lock:
                self.streams += 1
        if kind == _SETTINGS and not flags & _ACK:
            stream.sendall(_frame(_SETTINGS, _ACK, 0))
        elif kind == _HEADERS and self._refuses:
            stream.sendall(_frame(_RST_STREAM, 0, number, struct.pack(">I", _REFUSED_STREAM)))
        elif kind in {_HEADERS, _DATA} and flags & _END_STREAM:
            stream.sendall(_frame(_HEADERS, _END_HEADERS | _END_STREAM, number, _STATUS_200))


@contextmanager
def running(*, refuses: bool = False) -> Iterator[Http2Target]:
    target = Http2Target(refuses=refuses)
    try:
        yield target
    finally:
        target.close()


def _frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, number) + payload

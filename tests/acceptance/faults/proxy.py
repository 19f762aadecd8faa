"""A TCP proxy that can stop forwarding without closing, or lose an answer by closing."""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections from a free port of the loopback to ``url``'s host and port."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        port = self._listener.getsockname()[1]
        user = f"{parts.username or ''}:{parts.password}@" if parts.password else ""
        self.url = parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
        self._lock = Lock()
        self._stuck: list[socket.socket] = []  # of connections that were frozen
        self._frozen = Event()  # of the connections that are open now; later ones get another
        self._sockets: list[socket.socket] = []
        self._lost = b""  # what closes the connection instead of being forwarded, if anything does
        self.losses = 0
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        """Forward nothing more on the connections that are open; new ones work."""
        with self._lock:
            self._frozen.set()
            self._frozen = Event()
            self._stuck, self._sockets = [*self._stuck, *self._sockets], []

    def close_frozen(self) -> None:
        """Close the connections that were frozen: who waits for an answer hears of it now."""
        with self._lock:
            _close(self._stuck)
            self._stuck = []

    @contextmanager
    def losing(self, answer: bytes) -> Iterator[None]:
        """Close each connection on which ``answer`` comes from the server, before it arrives."""
        self._lost = answer
        try:
            yield
        finally:
            self._lost = b""

    def close(self) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            _close([*self._stuck, *self._sockets])
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                frozen = self._frozen
                self._sockets += [client, server]
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one, other in ((client, server), (server, client)):
                loses = self._is_lost if one is server else _is_never_lost
                Thread(target=_pump, args=(one, other, frozen, loses), daemon=True).start()

    def _is_lost(self, data: bytes) -> bool:
        """Tell whether this answer closes the connection, and count it."""
        is_lost = bool(self._lost) and self._lost in data
        self.losses += is_lost
        return is_lost


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def _is_never_lost(_data: bytes) -> bool:
    return False


def _pump(
    source: socket.socket, sink: socket.socket, frozen: Event, loses: Callable[[bytes], bool]
) -> None:
    """Forward what comes until the end, or until the connection is frozen for good."""
    with suppress(OSError):
        while (data := source.recv(65536)) and not loses(data):
            if frozen.is_set():
                return
            sink.sendall(data)
    if not frozen.is_set():
        _close((source, sink))

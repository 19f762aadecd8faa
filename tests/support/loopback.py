"""A server on the loopback, with a thread for each connection: the base of webhook targets."""

import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread

CERTIFICATE = Path(__file__).with_name("localhost.pem")


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


class LoopbackServer(ABC):
    """Accepts connections from :meth:`start` until :meth:`close`, which ends all of them."""

    def __init__(self, *, tls: bool = False) -> None:
        self.connections = 0
        self.closing = Event()
        self._lock = Lock()
        self._tls = tls_context() if tls else None
        self._open: set[socket.socket] = set()
        self._threads: list[Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    @abstractmethod
    def serve(self, stream: socket.socket, number: int) -> None:
        """Serve connection ``number``. Its end, and what it does wrong, are no fault."""

    def start(self) -> None:
        self._spawn(self._accept)

    def close(self) -> None:
        self.closing.set()
        # shutdown() ends the accept() that a thread is waiting in; close() alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = Thread(target=work, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            number = self.connections
            self._spawn(lambda c=connection, n=number: self._serve(c, n))

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._known(connection), suppress(OSError, ValueError):
            if self._tls is None:
                self.serve(connection, number)
                return
            with (
                self._tls.wrap_socket(connection, server_side=True) as secured,
                self._known(secured),
            ):
                self.serve(secured, number)

    @contextmanager
    def _known(self, connection: socket.socket) -> Iterator[None]:
        """Let :meth:`close` end a connection while it is served."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

"""A process of gunicorn whose threads never wait for a client.

1. The loop of the process reads each request whole. A slow client takes memory, and no thread.
2. A thread has the request from memory, and writes the answer without waiting for the client.
   Only a stream that is far ahead of its client waits.
3. The loop sends the rest of the answer, and then reads the next request.
4. A client that brings or takes less than the slowest rate is given up.
5. If there is no room for another connection, the network with the most of them loses the oldest
   one that waits for its client.
"""

import errno
import selectors
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from chronos_api.server.connection import BYTES_PER_SECOND, STALL_SECONDS, Connection, Pace, Phase
from chronos_api.server.framing import Refused
from chronos_api.server.refusals import write_problem

#: How long a process without connections, and the one above them, sleep at most. On Linux a signal
#: reports the end of either.
REST_SECONDS: Final = 10.0 if sys.platform == "linux" else 3.0
#: How long a client has to read the end of an answer before its connection is closed.
_CLOSING_SECONDS: Final = 2.0
_CHECK_SECONDS: Final = 1.0
#: The part of a crowd, a sixteenth, that is closed to make room.
_CLOSED_AT_ONCE: Final = 16
_READ_SIZE: Final = 64 << 10
#: Requests that are not yet answered and answers that are not yet read, in one process.
MAX_HELD: Final = 64 << 20
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class BufferingWorker(ThreadWorker):  # type: ignore[misc] # it has no types of its own
    """Reads requests and sends answers in its loop. Threads see complete requests only."""

    #: Set by the server, which knows the settings.
    max_body: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._check_at = 0.0
        self._held = 0

    # -- the loop, as gunicorn calls it

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for requests, longer than by default while there are no connections."""
        super().wait_for_and_dispatch_events(timeout if self.nr_conns else REST_SECONDS)

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - gunicorn's signature
        """Give up clients that are too slow, or all of them."""
        now = monotonic()
        if now < self._check_at and not force:
            return
        self._check_at = now + _CHECK_SECONDS
        self._held = sum(each.held for each in self._connections)
        for connection in list(self._connections):
            if force or connection.is_overdue(now):
                self._give_up(connection)
        self._keep_memory_bounded()

    def _cap_keepalive(self, deadline: float) -> None:
        """Let connections without a request end soon, when the process stops."""
        for connection in self._connections:
            if connection.phase is Phase.RECEIVING and not connection.request.data:
                connection.pace.at = min(connection.pace.at, deadline)

    # -- from a connection to a request

    def accept(self, listener: Any) -> None:
        """Accept a connection, for which another one is closed if there are too many."""
        try:
            raw, client = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._make_room(lambda _: 1)
            return  # Another process has it, or it is gone.
        raw.setblocking(False)  # noqa: FBT003 - the signature of a socket
        connection = Connection(
            self.cfg,
            raw,
            client,
            max_body=self.max_body,
            idle_seconds=self.cfg.keepalive,
            changed=self._note_change,
        )
        self._connections.add(connection)
        self.nr_conns += 1
        self._watch(connection)
        if self.nr_conns >= self.worker_connections:
            self._make_room(lambda _: 1)

    def _note_change(self, connection: Connection) -> None:
        """Look at ``connection`` in the loop. Any thread may call this."""
        self.method_queue.defer(self._watch, connection)

    def _watch(self, connection: Connection) -> None:
        """Wait for the events that concern the connection, or close it if it was ended."""
        if connection not in self._connections:
            return
        if connection.sock.is_aborted and connection.phase is not Phase.ANSWERING:
            self._close(connection)
            return
        wanted = 0
        if connection.sock.unsent:
            wanted = selectors.EVENT_WRITE
        elif connection.phase in {Phase.RECEIVING, Phase.CLOSING}:
            wanted = selectors.EVENT_READ
        if wanted == connection.watched:
            return
        raw, on_event = connection.sock.raw, partial(self._on_event, connection)
        if not wanted:
            self.poller.unregister(raw)
        elif connection.watched:
            self.poller.modify(raw, wanted, on_event)
        else:
            self.poller.register(raw, wanted, on_event)
        connection.watched = wanted

    def _on_event(self, connection: Connection, _raw: Any) -> None:
        if connection.sock.unsent:
            connection.sock.flush()
            if connection.phase is Phase.SENDING and not connection.sock.unsent:
                self._go_on(connection)
        else:
            self._receive(connection)
        self._watch(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            connection.sock.abort()
        elif connection.phase is Phase.RECEIVING:
            self._held += len(data)
            self._advance(connection, partial(connection.receive, data))

    def _advance(self, connection: Connection, read: Callable[[], None]) -> None:
        """Read more of a request, and hand it to a thread when it is complete."""
        try:
            read()
        except Refused as refusal:
            self._refuse(connection, refusal)
            return
        self._keep_memory_bounded()
        if connection.request.is_complete:
            if self._held > MAX_HELD:
                self._refuse(connection, _BUSY)
                return
            connection.parse()
            self._watch(connection)
            self.enqueue_req(connection)
        elif connection.request.wants_continue:
            connection.request.wants_continue = False
            connection.sock.sendall(_CONTINUE)

    # -- from an answer to the next request

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Send the rest of an answer, and go on with the connection. gunicorn calls this."""
        conn.is_kept = not fs.cancelled() and not fs.exception() and bool(fs.result())
        conn.phase = Phase.SENDING
        if not conn.sock.unsent:
            self._go_on(conn)
        self._watch(conn)

    def _go_on(self, connection: Connection) -> None:
        """Expect the next request, or close the connection as RFC 9112, section 9.6, says."""
        if connection.sock.is_aborted:
            return
        if connection.is_kept:
            seconds = self.cfg.keepalive if self.alive else _CLOSING_SECONDS
            self._advance(connection, partial(connection.expect_request, seconds))
            return
        connection.phase = Phase.CLOSING
        connection.pace = Pace(_CLOSING_SECONDS)
        try:
            connection.sock.raw.shutdown(socket.SHUT_WR)
        except OSError:
            connection.sock.abort()

    def _refuse(self, connection: Connection, refusal: Refused) -> None:
        """Answer a request that is not read to its end."""
        connection.is_kept = False
        connection.phase = Phase.SENDING
        write_problem(connection.sock, refusal.status, refusal.status.phrase, refusal.detail)
        if not connection.sock.unsent:
            self._go_on(connection)
        self._watch(connection)

    # -- the end of a connection

    def _give_up(self, connection: Connection) -> None:
        is_asking = connection.phase is Phase.RECEIVING and bool(connection.request.data)
        if is_asking and not connection.sock.unsent and self.alive:
            self._refuse(connection, _TOO_SLOW)
        else:
            connection.sock.abort()
            self._watch(connection)

    def _close(self, connection: Connection) -> None:
        if connection.watched:
            self.poller.unregister(connection.sock.raw)
        connection.sock.raw.close()
        self._connections.discard(connection)
        self.nr_conns -= 1

    def _keep_memory_bounded(self) -> None:
        while self._held > MAX_HELD:
            freed = self._make_room(lambda connection: connection.held)
            if not freed:
                return
            self._held -= freed

    def _make_room(self, weight: Callable[[Connection], int]) -> int:
        """Close some connections that wait for their client, of the network with the most weight.

        Return the weight of those. Several are closed at once, because finding them takes longer.
        """
        waiting = [each for each in self._connections if _waits(each) and weight(each)]
        crowd = _heaviest(waiting, weight)
        crowd.sort(key=lambda each: (-weight(each), each.since))
        given_up = crowd[: len(crowd) // _CLOSED_AT_ONCE + 1]
        freed = sum(map(weight, given_up))
        for each in given_up:
            each.sock.abort()
            self._watch(each)
        return freed


_TOO_SLOW: Final = Refused(
    HTTPStatus.REQUEST_TIMEOUT,
    f"The request came too slowly: send at least {BYTES_PER_SECOND} bytes a second. A pause may "
    f"last {STALL_SECONDS:.0f} seconds.",
)
_BUSY: Final = Refused(
    HTTPStatus.SERVICE_UNAVAILABLE, "Too many large requests are under way; try again in a moment."
)


def _waits(connection: Connection) -> bool:
    is_waiting = connection.phase is not Phase.ANSWERING or bool(connection.sock.unsent)
    return is_waiting and not connection.sock.is_aborted


def _heaviest(
    connections: Iterable[Connection], weight: Callable[[Connection], int]
) -> list[Connection]:
    """Return the connections of the network whose connections weigh most."""
    weights: Counter[str] = Counter()
    for each in connections:
        weights[each.network] += weight(each)
    heaviest = max(weights, key=weights.__getitem__, default=None)
    return [each for each in connections if each.network == heaviest]

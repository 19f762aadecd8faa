"""Time limits for PostgreSQL's answers. libpq itself would wait for ever.

The server ends statements that take too long, and TCP notices when a host is gone. Neither helps
when a frozen pooler or a load balancer keeps the connection open and forwards nothing. So every
wait ends here too, and breaks the connection.
"""

import select
import time
from typing import Final

import psycopg2
from psycopg2 import extensions

#: Longer than any statement may take, so that the server gives up first.
ANSWER_TIMEOUT_SECONDS: Final = 20.0

#: libpq's own ``connect_timeout`` does not apply to connections that are waited for like this.
CONNECT_TIMEOUT_SECONDS: Final = 5.0

_CONNECTED: Final = {
    extensions.STATUS_READY,
    extensions.STATUS_BEGIN,
    extensions.STATUS_PREPARED,
}
_EVENTS: Final = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}


class BoundedConnection(extensions.connection):
    """A connection that breaks if an answer does not come in time."""

    @property
    def timeout_seconds(self) -> float:
        """The time that an answer may take in the current state."""
        return ANSWER_TIMEOUT_SECONDS if self.status in _CONNECTED else CONNECT_TIMEOUT_SECONDS


def _wait(connection: extensions.connection) -> None:
    """Wait until ``connection`` is ready. psycopg2 calls this for every statement.

    An exception closes the connection. Raises :class:`psycopg2.OperationalError`.
    """
    ends = None
    if isinstance(connection, BoundedConnection):
        ends = time.monotonic() + connection.timeout_seconds
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), _EVENTS[state])
        left = None if ends is None else max(ends - time.monotonic(), 0) * 1000
        if not poller.poll(left):
            raise psycopg2.OperationalError("PostgreSQL does not answer on an open connection")


extensions.set_wait_callback(_wait)

"""How long a connection waits for PostgreSQL, which libpq itself would do for ever.

The server ends what it knows to take too long, and TCP notices when a host is gone. Neither
helps when whatever stands between (a frozen pooler, a load balancer) keeps the connection open
and forwards nothing. So every wait ends here too, and breaks the connection.
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
    """A connection that breaks where an answer does not come in time."""

    @property
    def timeout_seconds(self) -> float:
        """How long an answer may take now."""
        return ANSWER_TIMEOUT_SECONDS if self.status in _CONNECTED else CONNECT_TIMEOUT_SECONDS


def _wait(connection: extensions.connection) -> None:
    """Wait for the end of what ``connection`` is doing; psycopg2 calls this for every statement.

    Whatever this raises closes the connection. Raises :class:`psycopg2.OperationalError`.
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

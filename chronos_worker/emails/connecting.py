"""Connecting to a mail server before a deadline: the look-up of its name, and each address."""

import socket
from collections.abc import Sequence
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Any, Final

from chronos_worker import exhaustion
from chronos_worker.attempts import Deadline
from chronos_worker.exhaustion import Exhausted

_MAX_ADDRESSES: Final = 4
#: Look-ups of names at once. They have no timeout, so that some may outlive their attempts.
_MAX_LOOKUPS: Final = 32

_lookups = BoundedSemaphore(_MAX_LOOKUPS)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first of the server's addresses that accepts a connection.

    Raises :class:`OSError`, or :class:`Exhausted` if this worker has no port left for it.
    """
    addresses = _addresses(host, port, deadline)
    fault: OSError = OSError(0, "its name has no address")
    for number, address in enumerate(addresses):
        # An address that does not answer leaves time for the others.
        timeout = deadline.left() / (len(addresses) - number)
        try:
            return _connect_to(address, timeout)
        except OSError as error:
            fault = error
    raise fault


def _connect_to(found: Sequence[Any], timeout: float) -> socket.socket:
    """Connect to an address from ``getaddrinfo``, whose family the system may not support."""
    family, kind, protocol, _, address = found
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
    except OSError as error:
        connection.close()
        if lack := exhaustion.no_port_for(error, family, address):
            raise Exhausted(lack) from error
        raise
    return connection


def _addresses(host: str, port: int, deadline: Deadline) -> Sequence[Any]:
    """Look up the server's name, in a thread, because the resolver supports no deadline."""
    if not _lookups.acquire(timeout=deadline.left()):
        raise TimeoutError
    found: Future[Sequence[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - the future raises it where it is awaited
            found.set_exception(error)
        finally:
            _lookups.release()

    try:
        Thread(target=look_up, name="look-up", daemon=True).start()
    except RuntimeError:
        _lookups.release()
        raise
    return found.result(timeout=deadline.left())[:_MAX_ADDRESSES]

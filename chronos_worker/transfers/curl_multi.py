"""libcurl's multi handle on a poller: it moves the bytes of all transfers.

1. libcurl calls ``M_SOCKETFUNCTION`` with the sockets to watch, and is asked for its next timeout.
2. One pass waits for a socket or the timeout, lets libcurl act, and returns the handles that are
   done.

The timeout is asked for, because a callback for each timer would have to get the interpreter lock
from the other threads.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, Final, NamedTuple

import pycurl

from chronos_worker.transfers import poller

_EVENTS: Final = {
    pycurl.POLL_IN: poller.READ,
    pycurl.POLL_OUT: poller.WRITE,
    pycurl.POLL_INOUT: poller.READ | poller.WRITE,
    pycurl.POLL_REMOVE: 0,
    pycurl.POLL_NONE: 0,
}


class Done(NamedTuple):
    """A handle whose transfer ended, with libcurl's result code and message."""

    curl: Any
    code: int
    message: str


class CurlMulti:
    """Runs easy handles until they are done. Other threads may call ``wake`` only."""

    def __init__(self, *, max_connections: int) -> None:
        self._poller = poller.new()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)
        self._wake_end, self._ring_end = os.pipe()
        os.set_blocking(self._wake_end, False)
        os.set_blocking(self._ring_end, False)
        self._poller.watch(self._wake_end, poller.READ)
        # Against a write after the close: the descriptor's number may have been reused.
        self._closing = Lock()
        self._is_closed = False

    def add(self, curl: Any) -> None:
        """Start a handle's transfer with the next pass."""
        self._multi.add_handle(curl)

    def remove(self, curl: Any) -> None:
        """Take a handle out, aborting its transfer if that is not done."""
        self._multi.remove_handle(curl)

    def wake(self) -> None:
        """End the wait of the current pass, or of the next one."""
        # A full pipe wakes as well.
        with self._closing, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._ring_end, b"\0")

    def run_once(self, timeout: float) -> Iterator[Done]:
        """Wait at most ``timeout`` seconds for events, handle them, and return ended transfers."""
        milliseconds = self._multi.timeout()
        if milliseconds >= 0:
            timeout = min(timeout, milliseconds / 1000)
        socket_action = self._multi.socket_action
        for descriptor, events in self._poller.wait(timeout):
            if descriptor == self._wake_end:
                os.read(self._wake_end, 4096)
            else:
                # libcurl's CSELECT_IN and CSELECT_OUT are the poller's READ and WRITE.
                try:
                    socket_action(descriptor, events)
                except pycurl.error:
                    # libcurl no longer knows this socket, which must not wake us for ever.
                    self._poller.watch(descriptor, 0)
        if self._multi.timeout() == 0:
            socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return self._done()

    def _done(self) -> Iterator[Done]:
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                yield Done(curl, 0, "")
            for curl, code, message in failed:
                yield Done(curl, code, message)

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        self._poller.watch(descriptor, _EVENTS[what])

    def close(self) -> None:
        """Abort all transfers and close all connections."""
        with self._closing:
            self._is_closed = True
            self._multi.close()
            self._poller.close()
            os.close(self._wake_end)
            os.close(self._ring_end)

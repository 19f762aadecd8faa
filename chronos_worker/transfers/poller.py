"""Pollers: waiting for sockets, in the cheapest way that the operating system has.

Transfers register and drop a socket with every request. The standard ``selectors`` would take
longer for that than the kernel, so epoll is used directly where it exists.
"""

import select
import selectors
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

# epoll counts in whole milliseconds, so shorter waits use select(), which counts in microseconds.
_FINE_WAIT_SECONDS: Final = 0.02
# select() takes no descriptor from here on. Such a poller is up to a millisecond late.
_MAX_SELECT_FD: Final = 1024


class Poller(Protocol):
    """Waits until watched descriptors are ready."""

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for ``events`` (of ``READ`` and ``WRITE``) on ``descriptor``; 0 ends the watch."""

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return (descriptor, events) of those ready within ``timeout`` seconds."""

    def close(self) -> None:
        """Close the poller's own descriptors."""


def new() -> Poller:
    """Return the best poller of this operating system."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()


class EpollPoller:
    """Linux's epoll, used directly."""

    _WANTED: Final = {
        READ: select.EPOLLIN,
        WRITE: select.EPOLLOUT,
        READ | WRITE: select.EPOLLIN | select.EPOLLOUT,
    }
    _EVENTS_OF: Final = {mask: events for events, mask in _WANTED.items()}

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        # No longer watched, but most likely again in a moment. They stay registered: a needless
        # event now and then costs less than a system call at the end of every watch.
        self._resting: set[int] = set()
        self._is_fine = self._epoll.fileno() < _MAX_SELECT_FD

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for ``events`` on ``descriptor``."""
        if not events:
            if descriptor in self._watched:
                self._watched.remove(descriptor)
                self._resting.add(descriptor)
            return
        is_known = descriptor in self._watched or descriptor in self._resting
        self._resting.discard(descriptor)
        self._watched.add(descriptor)
        if is_known:
            # suppress() would take as long as the system call, with every request.
            try:
                self._epoll.modify(descriptor, self._WANTED[events])
            except FileNotFoundError:
                # The kernel drops closed descriptors, and the number has been reused.
                is_known = False
        if not is_known:
            self._epoll.register(descriptor, self._WANTED[events])

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return the ready descriptors. Errors and hang-ups count as both events."""
        if 0 < timeout < _FINE_WAIT_SECONDS and self._is_fine:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0
        ready, events_of, watched = [], self._EVENTS_OF, self._watched
        for descriptor, mask in self._epoll.poll(max(timeout, 0)):
            if descriptor in watched:
                ready.append((descriptor, events_of.get(mask, READ | WRITE)))
            else:
                self._end_rest(descriptor)
        return ready

    def _end_rest(self, descriptor: int) -> None:
        """Unregister a descriptor that had an event although it is no longer watched."""
        self._resting.discard(descriptor)
        with suppress(OSError):
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Close the poller's own descriptors."""
        self._epoll.close()


class SelectorPoller:
    """The poller of the standard library, for every operating system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for ``events`` on ``descriptor``."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
        if events:
            self._selector.register(descriptor, events)

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return the ready descriptors."""
        return [(key.fd, events) for key, events in self._selector.select(max(timeout, 0))]

    def close(self) -> None:
        """Close the poller's own descriptors."""
        self._selector.close()

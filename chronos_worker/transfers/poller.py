"""Waiting for sockets, in the cheapest way that the operating system has.

Transfers register and drop a socket with every request, and the standard ``selectors`` would take
longer over it than the kernel does. So where there is epoll it is used as it is.
"""

import select
import selectors
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

# poll() counts in whole milliseconds, so shorter waits take select(), which counts in µs. It takes
# no descriptor from 1024 on; such a poller is up to a millisecond late.
_FINE_WAIT_SECONDS: Final = 0.02
_MAX_SELECT_FD: Final = 1024


class Poller(Protocol):
    """Tells which of the watched descriptors are ready."""

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for ``events`` (of ``READ`` and ``WRITE``) on ``descriptor``; 0 ends the watch."""

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return (descriptor, events) of those ready within ``timeout`` seconds."""

    def close(self) -> None:
        """Give the descriptors back."""


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
    _TOLD: Final = {mask: events for events, mask in _WANTED.items()}

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        # Not watched any more, and most likely again in a moment. They stay registered: a needless
        # event now and then costs less than a call of the kernel with the end of every watch.
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
            # Not suppress(), which takes as long as the kernel: this is for every request.
            try:
                self._epoll.modify(descriptor, self._WANTED[events])
            except FileNotFoundError:
                # The kernel forgets a descriptor when it is closed; its number came again.
                is_known = False
        if not is_known:
            self._epoll.register(descriptor, self._WANTED[events])

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return what is ready; errors and hang-ups show as both."""
        if 0 < timeout < _FINE_WAIT_SECONDS and self._is_fine:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0
        ready, told, watched = [], self._TOLD, self._watched
        for descriptor, mask in self._epoll.poll(max(timeout, 0)):
            if descriptor in watched:
                ready.append((descriptor, told.get(mask, READ | WRITE)))
            else:
                self._end_rest(descriptor)
        return ready

    def _end_rest(self, descriptor: int) -> None:
        """Unregister what nobody watches, once something happens there."""
        self._resting.discard(descriptor)
        with suppress(OSError):
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Give the descriptors back."""
        self._epoll.close()


class SelectorPoller:
    """What the standard library has for every operating system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, events: int) -> None:
        """Wait for ``events`` on ``descriptor``."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
        if events:
            self._selector.register(descriptor, events)

    def wait(self, timeout: float) -> Sequence[tuple[int, int]]:
        """Return what is ready."""
        return [(key.fd, events) for key, events in self._selector.select(max(timeout, 0))]

    def close(self) -> None:
        """Give the descriptors back."""
        self._selector.close()

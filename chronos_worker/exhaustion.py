"""Exhaustion: a lack of this worker itself, which is no fault of a job or of its target.

An attempt that fails for such a reason before anything has left counts as not attempted. Actions
let the error through, or raise :class:`Exhausted`.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from chronos_common.errors import ChronosError

#: The system's errors for a process that has, or a machine that gives, no more of something.
_EXHAUSTED: Final = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOBUFS,
    errno.ENOSPC,
    errno.EDQUOT,
}
#: CPython's text for a thread that the system does not start.
_NO_THREAD: Final = "can't start new thread"

_NO_PORT: Final = "free ports"
#: A UDP socket that is connected to a port sends nothing to it.
_ANY_PORT: Final = 9


class Exhausted(ChronosError):
    """The worker lacks something of its own, and nothing has left."""

    def __init__(self, lack: str) -> None:
        super().__init__(f"This worker lacks something of its own: {lack}.")
        self.lack = lack


def lack_behind(error: BaseException, *, host: str | None = None) -> str | None:
    """Return the lack of this worker that has caused ``error``, if one has.

    Of an error of a connection to ``host`` it also returns that no port was free, which may take a
    look-up of the name.
    """
    causes = list(_causes(error))
    if lack := next(filter(None, map(_lack, causes)), None):
        return lack
    return _NO_PORT if host and any(map(_has_no_address, causes)) and _lacks_ports(host) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error and the errors behind it, as libraries wrap them."""
    seen: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        each = following.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            following += [each.__context__, each.__cause__]


def _lack(error: BaseException) -> str | None:
    match error:
        case Exhausted(lack=lack):
            return str(lack)
        case MemoryError() | socket.gaierror(errno=socket.EAI_MEMORY):
            return "memory"
        case RuntimeError() if _NO_THREAD in str(error):
            return "threads"
        case socket.gaierror() | OSError(errno=errno.EBUSY) if lacks_descriptors():
            # The resolver calls it an unknown name if it can open no file or socket. If it cannot
            # load a part of itself, glibc says EBUSY.
            return _text(errno.EMFILE)
        case OSError(errno=number) if number in _EXHAUSTED:
            return _text(number)
    return None


def is_exhausted(number: int | None) -> bool:
    """Return whether an error number of the system says that this worker lacks something."""
    return number in _EXHAUSTED


def lacks_descriptors() -> bool:
    """Return whether this process can open no file now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return is_exhausted(error.errno)
    return False


def no_port_for(error: OSError, family: int, address: Any) -> str | None:
    """Return the lack of a port if a connection to ``address`` failed with ``error`` for it.

    UDP has ports of its own. So it connects where this machine has an address of the family.
    """
    if not _has_no_address(error):
        return None
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return _NO_PORT
    return None


def _has_no_address(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL


def _lacks_ports(host: str) -> bool:
    unavailable = OSError(errno.EADDRNOTAVAIL, "")
    with suppress(OSError):
        found = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)
        return any(no_port_for(unavailable, each[0], each[4]) for each in found)
    return False


def _text(number: int) -> str:
    return os.strerror(number).lower()

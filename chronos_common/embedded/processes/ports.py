"""Free ports on loopback for the embedded servers."""

import socket
from collections.abc import Callable

from chronos_common.embedded.processes.child import Child, ChildFailed

_TRIES = 3


def free() -> int:
    """Return a port of 127.0.0.1 that nothing used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_on_free_port(make: Callable[[int], Child], wait: Callable[[Child], None]) -> Child:
    """Start the child that ``make`` returns for a port, and ``wait`` until it answers.

    If another process takes the port in between, another one is tried. After any other error the
    child is stopped before the error is raised.
    """
    for tries_left in reversed(range(_TRIES)):
        child = make(free())
        child.start()
        try:
            wait(child)
        except BaseException as error:
            child.stop()
            port_was_taken = "ddress already in use" in child.last_lines(20)
            if not isinstance(error, ChildFailed) or not port_was_taken or not tries_left:
                raise
        else:
            return child
    raise AssertionError("the loop above returns or raises")

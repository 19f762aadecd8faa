"""Ports: whether the API can listen on its own, and free ones for the embedded servers."""

import socket
from collections.abc import Callable

from chronos_common.embedded.processes.child import Child, ChildFailed
from chronos_common.errors import ChronosError

_TRIES = 3


class AddressUnusable(ChronosError):
    """The API cannot listen on this address."""


def check_address(
    host: str, port: int, *, host_option: str = "--host", port_option: str = "--port"
) -> None:
    """Raise :class:`AddressUnusable` if nothing can listen on ``host`` and ``port`` now.

    The options are those by which the user chooses others.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressUnusable(
            f"There is no address {host!r} on this machine: {error.strerror}. "
            f"Give one of its own, like 127.0.0.1, with {host_option}."
        ) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise AddressUnusable(
                f"The API cannot listen on {host} port {port}: {error.strerror}. "
                f"Choose another port with {port_option}, or another address with {host_option}."
            ) from error


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

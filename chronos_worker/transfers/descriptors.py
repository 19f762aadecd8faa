"""File descriptors: as many transfers at once as this process may open sockets for."""

import resource
from typing import Final

import structlog

#: Descriptors for everything else: connections to PostgreSQL and Redis, logs, other actions.
_RESERVED: Final = 256
#: A transfer's socket, and those of the look-up of its host's name.
_PER_TRANSFER: Final = 3
#: More than any setting asks for. The hard limit may be a thousand million.
_ENOUGH: Final = 65_536

_log = structlog.get_logger(__name__)


def transfers_within(wanted: int) -> int:
    """Return the number of transfers, at most ``wanted``, that this process has descriptors for.

    The soft limit is raised as far as it may be. Fewer transfers than wanted are logged.
    """
    fitting = max(1, (_raised_limit() - _RESERVED) // _PER_TRANSFER)
    if fitting < wanted:
        _log.warning(
            "fewer transfers than CHRONOS_MAX_TRANSFERS, because of the limit of open files",
            max_transfers=fitting,
            wanted=wanted,
            remedy=f"raise the limit (ulimit -n) to {wanted * _PER_TRANSFER + _RESERVED}",
        )
    return min(wanted, fitting)


def _raised_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    highest = _ENOUGH if hard == unlimited else min(hard, _ENOUGH)
    if soft == unlimited or soft >= highest:
        return _ENOUGH if soft == unlimited else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    except (OSError, ValueError):
        # Some systems (macOS) refuse what the hard limit permits.
        return soft
    return highest

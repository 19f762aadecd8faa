"""File descriptors: as many transfers at once as this process may open sockets for."""

from typing import Final

import structlog

from chronos_common.process import startup

#: Descriptors for everything else: connections to PostgreSQL and Redis, logs, other actions.
_RESERVED: Final = 256
#: A transfer's socket, and those of the look-up of its host's name.
_PER_TRANSFER: Final = 3

_log = structlog.get_logger(__name__)


def transfers_within(wanted: int) -> int:
    """Return the number of transfers, at most ``wanted``, that this process has descriptors for.

    The soft limit is raised as far as it may be. Fewer transfers than wanted are logged.
    """
    fitting = max(1, (startup.raise_file_limit() - _RESERVED) // _PER_TRANSFER)
    if fitting < wanted:
        _log.warning(
            "fewer transfers than CHRONOS_MAX_TRANSFERS, because of the limit of open files",
            max_transfers=fitting,
            wanted=wanted,
            remedy=f"raise the limit (ulimit -n) to {wanted * _PER_TRANSFER + _RESERVED}",
        )
    return min(wanted, fitting)

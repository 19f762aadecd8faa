"""Points where the fault tests kill a process, and the error of its clock. Only they set these.

``CHRONOS_FAULT_POINT`` names a point of the code. A process that reaches it is killed there, as by
the kernel. ``CHRONOS_FAULT_CLOCK_SECONDS`` is the error of the host's clock. Both are read once,
when the process starts. Unset, they cost a comparison per batch.
"""

import os
import signal
from typing import Final

# The settings import the domain, the domain the clock, and the clock this module.
_POINT: Final = os.environ.get("CHRONOS_FAULT_POINT")  # noqa: TID251 - no setting of anybody's

#: Seconds by which the host's clock is ahead.
CLOCK_SECONDS: Final = float(os.environ.get("CHRONOS_FAULT_CLOCK_SECONDS", "0"))  # noqa: TID251 - likewise


def hit(point: str) -> None:
    """Kill this process if a test asked for it at this point."""
    if point == _POINT:
        os.kill(os.getpid(), signal.SIGKILL)

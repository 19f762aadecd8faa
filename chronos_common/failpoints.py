"""Where the fault tests end a process or bend its clock. Nothing else sets these variables.

``CHRONOS_FAULT_POINT`` names a point of the code; a process that reaches it is killed there and
then, as by the kernel. ``CHRONOS_FAULT_CLOCK_SECONDS`` is how far the host's clock is wrong. Both
are read once, when the process starts; unset, they cost a comparison per batch.
"""

import os
import signal
from typing import Final

# The domain stands on the clock, and the clock on this, so it may not stand on the settings.
_POINT: Final = os.environ.get("CHRONOS_FAULT_POINT")  # noqa: TID251 - no setting of anybody's

#: What the host's clock shows more than it should.
CLOCK_SECONDS: Final = float(os.environ.get("CHRONOS_FAULT_CLOCK_SECONDS", "0"))  # noqa: TID251 - likewise


def reached(point: str) -> None:
    """Die here if a test wants that."""
    if point == _POINT:
        os.kill(os.getpid(), signal.SIGKILL)

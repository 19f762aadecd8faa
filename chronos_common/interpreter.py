"""How Python itself is set in processes that must be exact to milliseconds."""

import gc
import sys

#: A thread that waits for the interpreter gets it after so long; the default is ten times that.
SWITCH_SECONDS = 0.0005

#: New objects between two looks for garbage cycles. The hot path makes none; statements that
#: SQLAlchemy builds do: with eight times this a scheduler grew by 18 MiB before the first look.
ALLOCATIONS = 25_000


def tune() -> None:
    """Make pauses short and rare; call it once everything is loaded."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # What is loaded stays: no later collection needs to look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)

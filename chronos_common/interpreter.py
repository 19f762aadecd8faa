"""How Python itself is set in processes that run for long."""

import gc
import sys

#: A thread that waits for the interpreter gets it after so long; the default is ten times that.
SWITCH_SECONDS = 0.0005

#: New objects between two looks for garbage cycles. The hot path makes none; statements that
#: SQLAlchemy builds do: with eight times this a scheduler grew by 18 MiB before the first look.
ALLOCATIONS = 25_000


def be_exact() -> None:
    """Make pauses short and rare; call it once everything is loaded.

    A thread that has to start something at its instant does not wait for those that calculate.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    collect_rarely()


def collect_rarely() -> None:
    """Look for garbage seldom, and not in what is loaded; call it once everything is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)

"""How Python looks for garbage in processes that run for long."""

import gc

#: New objects between two looks for garbage cycles. The hot path makes none; statements that
#: SQLAlchemy builds do: with eight times this a scheduler grew by 18 MiB before the first look.
ALLOCATIONS = 25_000


def tune() -> None:
    """Make the pauses that this takes short and rare; call it once everything is loaded."""
    # What is loaded stays: no later collection needs to look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)

"""Whether a process makes progress: each of its parts says for how long it has been silent.

That a port answers shows little: what hangs elsewhere does not keep it from answering.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chronos_common.process.heartbeat import Heartbeat
from chronos_common.process.loops import Loop

#: A tick is a few statements, each of which ends within seconds, or a batch of them.
TICK_PATIENCE_SECONDS = 120.0

#: In timeouts: PostgreSQL may be away for a moment.
HEARTBEAT_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a process, for how long it has been silent, and for how long it may be."""

    name: str
    silent_seconds: Callable[[], float]
    patience_seconds: float


def loop(watched: Loop) -> Part:
    """Return the part that a loop is: it may rest, but no tick may go on for ever."""
    return Part(
        f"loop {watched.name}",
        lambda: watched.tick_seconds,
        patience_seconds=TICK_PATIENCE_SECONDS,
    )


def heartbeat(watched: Heartbeat) -> Part:
    """Return the part that a heartbeat is: it is renewed while PostgreSQL answers."""
    patience = HEARTBEAT_PATIENCE * watched.timeout_seconds
    return Part("heartbeat", lambda: watched.silent_seconds, patience)


class Progress:
    """The parts of a process."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """Take what to ask."""
        self._parts = parts

    def faults(self) -> list[str]:
        """Return a sentence for each part that has been silent for too long."""
        silences = [(part, part.silent_seconds()) for part in self._parts]
        return [
            f"{part.name} has made no progress for {silent:.0f} s."
            for part, silent in silences
            if silent > part.patience_seconds
        ]

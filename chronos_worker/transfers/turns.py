"""The order of waiting requests: workspaces take turns, and so do the hosts of each.

The requests of one workspace to one host are a stream, first in, first out. A stream with requests
is in one of two places:

1. It has a turn, in its workspace's line of streams.
2. It is parked, because its host has no room for it. :meth:`Turns.wake` gives it a turn again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chronos_worker.http.request import TransferRequest


@dataclass(slots=True, eq=False)
class Host:
    """One host and port, with its counts of transfers, and of streams that know it."""

    name: str
    running: int = 0
    slow: int = 0
    streams: int = 0


@dataclass(slots=True, eq=False)
class Stream:
    """The requests of one workspace to one host. A workspace's id is a number here."""

    workspace: int
    host: Host
    running: int = 0
    waiting: dict["Turns", deque[TransferRequest]] = field(default_factory=dict)


class Turns:
    """The waiting requests of one lane.

    ``may_start`` returns whether a workspace may start another transfer, and ``has_room`` whether
    a stream's host takes another one of it.
    """

    def __init__(
        self, *, may_start: Callable[[int], bool], has_room: Callable[[Stream], bool]
    ) -> None:
        self._may_start = may_start
        self._has_room = has_room
        self._lines: dict[int, deque[Stream]] = {}
        self._turns: deque[int] = deque()
        self._parked: dict[str, deque[Stream]] = {}

    def __bool__(self) -> bool:
        """Return whether a stream has a turn."""
        return bool(self._turns)

    def add(self, stream: Stream, request: TransferRequest) -> None:
        """Add a request to the end of its stream."""
        waiting = stream.waiting.get(self)
        if waiting is None:
            stream.waiting[self] = deque((request,))
            self._give_turn(stream)
        else:
            waiting.append(request)

    def first(self) -> Stream | None:
        """Return the stream whose request may start next."""
        for _ in range(len(self._turns)):
            workspace = self._turns[0]
            if self._may_start(workspace):
                line = self._lines[workspace]
                while line:
                    if self._has_room(line[0]):
                        return line[0]
                    self._park(line.popleft())
                del self._lines[workspace]
                self._turns.popleft()
            else:
                self._turns.rotate(-1)
        return None

    def pop(self, stream: Stream) -> TransferRequest:
        """Remove the next request of the first stream, and end its turn."""
        waiting = stream.waiting[self]
        request = waiting.popleft()
        line = self._lines[stream.workspace]
        line.popleft()
        if waiting:
            line.append(stream)
        else:
            del stream.waiting[self]
        if line:
            self._turns.rotate(-1)
        else:
            del self._lines[stream.workspace]
            self._turns.popleft()
        return request

    def wake(self, host: Host) -> None:
        """Give a turn to a stream that is parked at a host which has room for it."""
        parked = self._parked.get(host.name)
        if parked is None:
            return
        for _ in range(len(parked)):
            stream = parked.popleft()
            if self._has_room(stream):
                self._give_turn(stream)
                break
            parked.append(stream)
        if not parked:
            del self._parked[host.name]

    def _park(self, stream: Stream) -> None:
        self._parked.setdefault(stream.host.name, deque()).append(stream)

    def _give_turn(self, stream: Stream) -> None:
        line = self._lines.get(stream.workspace)
        if line is None:
            line = self._lines[stream.workspace] = deque()
            self._turns.append(stream.workspace)
        line.append(stream)

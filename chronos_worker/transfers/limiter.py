"""The limiter of transfers: it decides which request may start next.

No workspace, no host and no slow job can use up all permits. The limiter does no input or output,
and only the engine's thread changes it.

1. At most ``max_transfers`` run at once, and at most ``max_per_host`` to one host and port.
2. Requests that must wait queue by workspace and host (see ``turns``). So a host whose quota is
   used up delays no other host, and no workspace waits for all the requests of another.
3. A workspace may use up to ``_MOST_OF_FREE`` times as many permits as are free, in total and of
   each host. So one may have nearly all, and there is room for the first requests of another.
4. A job with a transfer that has been running for ``SLOW_AFTER`` seconds is slow, until one of its
   transfers is quicker. Slow jobs wait in a lane of their own, which may use only half of each
   limit. So hanging endpoints do not take the permits of the quick ones on the same host.
5. A request that is due while another transfer of its job is under way waits in that lane too.
   When many jobs begin to hang, their next requests come before they are known to be slow.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.turns import Host, Stream, Turns

#: Seconds after which a transfer makes its job slow.
SLOW_AFTER: Final = 1.0
#: Jobs that are remembered as slow.
_MAX_SLOW_JOBS = 100_000
#: The largest ratio of a workspace's permits to the free ones: one alone may have 97 % of all.
_MOST_OF_FREE: Final = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest number of transfers at once: in total, and to one host and port."""

    max_transfers: int
    max_per_host: int


@dataclass(slots=True, eq=False)
class Permit:
    """The permission for one transfer, from its start to its end."""

    request: TransferRequest
    stream: Stream
    started: float
    slow: bool
    released: bool = False


class Limiter:
    """Gives permits to requests that are due."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._max_slow = max(1, limits.max_transfers // 2)
        self._max_slow_per_host = max(1, limits.max_per_host // 2)
        self._hosts: dict[str, Host] = {}
        self._streams: dict[tuple[int, str], Stream] = {}
        self._quick = Turns(may_start=self._has_share, has_room=self._has_room)
        self._slow_lane = Turns(may_start=self._has_share, has_room=self._has_slow_room)
        self._young: deque[Permit] = deque()
        self._slow_jobs: set[UUID] = set()
        # Transfers of each job and workspace. Ids are numbers here, which are hashed faster.
        self._under_way: dict[int, int] = {}
        self._of_workspaces: dict[int, int] = {}
        self._running = 0
        self._slow = 0

    def enqueue(self, request: TransferRequest) -> None:
        """Queue a request that is due."""
        stream = self._stream_of(request)
        job_id = request.template.job_id
        if job_id.int in self._under_way or (self._slow_jobs and job_id in self._slow_jobs):
            self._slow_lane.add(stream, request)
        else:
            self._quick.add(stream, request)

    def acquire(self, now: float) -> Permit | None:
        """Return a permit for the next request at ``now`` (monotonic seconds), or None."""
        if self._running >= self._limits.max_transfers:
            return None
        quick = self._first_quick()
        may_be_slow = self._slow_lane and self._slow < self._max_slow
        slow = self._slow_lane.first() if may_be_slow else None
        if slow and (not quick or self._is_before(slow, quick)):
            return self._start(slow, now, slow=True)
        return self._start(quick, now, slow=False) if quick else None

    def release(self, permit: Permit, now: float, *, ended: bool = True) -> None:
        """Take a permit back. ``ended`` is false if its transfer did not run to its end."""
        stream, permit.released = permit.stream, True
        host = stream.host
        self._count(stream, permit.request, -1)
        if permit.slow:
            self._slow -= 1
            host.slow -= 1
        if ended and self._slow_jobs and now - permit.started < SLOW_AFTER:
            self._slow_jobs.discard(permit.request.template.job_id)
        self._quick.wake(host)
        self._slow_lane.wake(host)
        if not (stream.running or stream.waiting):
            self._forget(stream)

    def mark_slow(self, now: float) -> None:
        """Mark the transfers that have become slow by ``now``. It has to be called regularly."""
        young = self._young
        while young and (young[0].released or young[0].started + SLOW_AFTER <= now):
            permit = young.popleft()
            if not permit.released:
                permit.slow = True
                permit.stream.host.slow += 1
                self._slow += 1
                self._remember(permit.request.template.job_id)

    def behind(self) -> int:
        """Return the number of requests that wait for the engine. Any thread may call this.

        Requests queued behind a mostly slow host are not counted: they wait for that host, not
        for us.
        """
        # Copies, because the engine's thread adds and removes streams meanwhile.
        lane = self._quick
        return sum(
            len(stream.waiting.get(lane, ()))
            for stream in list(self._streams.values())
            if stream.host.slow * 2 <= stream.host.running
        )

    def _start(self, stream: Stream, now: float, *, slow: bool) -> Permit:
        request = (self._slow_lane if slow else self._quick).pop(stream)
        permit = Permit(request, stream, now, slow)
        self._count(stream, request, 1)
        if slow:
            self._slow += 1
            stream.host.slow += 1
        else:
            self._young.append(permit)
        return permit

    def _count(self, stream: Stream, request: TransferRequest, change: int) -> None:
        self._running += change
        stream.running += change
        stream.host.running += change
        _add(self._under_way, request.template.job_id.int, change)
        _add(self._of_workspaces, stream.workspace, change)

    def _stream_of(self, request: TransferRequest) -> Stream:
        workspace, name = request.execution.workspace_id.int, request.template.origin
        stream = self._streams.get((workspace, name))
        if stream is None:
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = Host(name)
            host.streams += 1
            stream = self._streams[workspace, name] = Stream(workspace, host)
        return stream

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.workspace, stream.host.name]
        stream.host.streams -= 1
        if not stream.host.streams:
            del self._hosts[stream.host.name]

    def _first_quick(self) -> Stream | None:
        """Move requests of slow jobs to their lane, and return the stream of a quick job's one."""
        slow_jobs = self._slow_jobs
        while (stream := self._quick.first()) and slow_jobs:
            if stream.waiting[self._quick][0].template.job_id not in slow_jobs:
                break
            self._slow_lane.add(stream, self._quick.pop(stream))
            # Another one may use the room.
            self._quick.wake(stream.host)
        return stream

    def _is_before(self, slow: Stream, quick: Stream) -> bool:
        one, other = slow.waiting[self._slow_lane][0], quick.waiting[self._quick][0]
        return one.due_at < other.due_at

    def _has_share(self, workspace: int) -> bool:
        free = self._limits.max_transfers - self._running
        return self._of_workspaces.get(workspace, 0) < _MOST_OF_FREE * free

    def _has_room(self, stream: Stream) -> bool:
        free = self._limits.max_per_host - stream.host.running
        return stream.running < _MOST_OF_FREE * free

    def _has_slow_room(self, stream: Stream) -> bool:
        return stream.host.slow < self._max_slow_per_host and self._has_room(stream)

    def _remember(self, job_id: UUID) -> None:
        # Jobs that were deleted while slow would stay for ever, and starting over costs little.
        if len(self._slow_jobs) >= _MAX_SLOW_JOBS:
            self._slow_jobs.clear()
        self._slow_jobs.add(job_id)


def _add(counts: dict[int, int], key: int, change: int) -> None:
    count = counts.get(key, 0) + change
    if count:
        counts[key] = count
    else:
        del counts[key]

"""The limiter of transfers: it decides which request may start next.

No host and no slow job can use up all permits. The limiter does no input or output, and only the
engine's thread changes it.

1. At most ``max_transfers`` run at once, and at most ``max_per_host`` to one host and port.
2. Requests that must wait queue by host, first in, first out, and hosts take turns. So a host
   whose quota is used up delays no other host.
3. A job with a transfer that has been running for ``SLOW_AFTER`` seconds is slow, until one of its
   transfers is quicker. Slow jobs wait in a lane of their own, which may use only half of each
   limit. So hanging endpoints do not take the permits of the quick ones on the same host.
4. A request that is due while another transfer of its job is under way waits in that lane too.
   When many jobs begin to hang, their next requests come before they are known to be slow.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from chronos_worker.http.request import TransferRequest

#: Seconds after which a transfer makes its job slow.
SLOW_AFTER: Final = 1.0
#: Jobs that are remembered as slow.
_MAX_SLOW_JOBS = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest number of transfers at once: in total, and to one host and port."""

    max_transfers: int
    max_per_host: int


@dataclass(slots=True, eq=False)
class _Host:
    """One host and port, with its counts of transfers and its waiting requests."""

    name: str
    running: int = 0
    slow: int = 0
    waiting: deque[TransferRequest] = field(default_factory=deque)
    waiting_slow: deque[TransferRequest] = field(default_factory=deque)
    has_turn: bool = False
    has_slow_turn: bool = False


@dataclass(slots=True, eq=False)
class Permit:
    """The permission for one transfer, from its start to its end."""

    request: TransferRequest
    host: _Host
    started: float
    slow: bool
    released: bool = False


class Limiter:
    """Gives permits to requests that are due."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._max_slow = max(1, limits.max_transfers // 2)
        self._max_slow_per_host = max(1, limits.max_per_host // 2)
        self._hosts: dict[str, _Host] = {}
        self._turns: deque[_Host] = deque()
        self._turns_slow: deque[_Host] = deque()
        self._young: deque[Permit] = deque()
        self._slow_jobs: set[UUID] = set()
        # Transfers of each job. Its id is a number here, which is hashed faster than a UUID.
        self._under_way: dict[int, int] = {}
        self._running = 0
        self._slow = 0

    def enqueue(self, request: TransferRequest) -> None:
        """Queue a request that is due."""
        name = request.template.origin
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name)
        job_id = request.template.job_id
        if job_id.int in self._under_way or (self._slow_jobs and job_id in self._slow_jobs):
            host.waiting_slow.append(request)
        else:
            host.waiting.append(request)
        self._give_turns(host)

    def acquire(self, now: float) -> Permit | None:
        """Return a permit for the next request at ``now`` (monotonic seconds), or None."""
        if self._running >= self._limits.max_transfers:
            return None
        quick = self._next_host()
        slow = self._next_slow_host() if self._turns_slow else None
        if slow and (not quick or _is_before(slow.waiting_slow[0], quick.waiting[0])):
            return self._start(slow, now, slow=True)
        return self._start(quick, now, slow=False) if quick else None

    def release(self, permit: Permit, now: float, *, ended: bool = True) -> None:
        """Take a permit back. ``ended`` is false if its transfer did not run to its end."""
        host, permit.released = permit.host, True
        self._running -= 1
        host.running -= 1
        self._count_job(permit.request, -1)
        if permit.slow:
            self._slow -= 1
            host.slow -= 1
        if ended and self._slow_jobs and now - permit.started < SLOW_AFTER:
            self._slow_jobs.discard(permit.request.template.job_id)
        self._give_turns(host)
        if not (host.running or host.waiting or host.waiting_slow):
            self._hosts.pop(host.name, None)

    def mark_slow(self, now: float) -> None:
        """Mark the transfers that have become slow by ``now``. It has to be called regularly."""
        young = self._young
        while young and (young[0].released or young[0].started + SLOW_AFTER <= now):
            permit = young.popleft()
            if not permit.released:
                permit.slow = True
                permit.host.slow += 1
                self._slow += 1
                self._remember(permit.request.template.job_id)

    def behind(self) -> int:
        """Return the number of requests that wait for the engine. Any thread may call this.

        Requests queued behind a mostly slow host are not counted: they wait for that host, not
        for us.
        """
        # A copy, because the engine's thread adds and removes hosts meanwhile.
        hosts = list(self._hosts.values())
        return sum(len(host.waiting) for host in hosts if host.slow * 2 <= host.running)

    def _start(self, host: _Host, now: float, *, slow: bool) -> Permit:
        host.running += 1
        self._running += 1
        if slow:
            host.slow += 1
            self._slow += 1
            self._turns_slow.popleft()
            host.has_slow_turn = False
            permit = Permit(host.waiting_slow.popleft(), host, now, slow)
        else:
            self._turns.popleft()
            host.has_turn = False
            permit = Permit(host.waiting.popleft(), host, now, slow)
            self._young.append(permit)
        self._count_job(permit.request, 1)
        self._give_turns(host)
        return permit

    def _count_job(self, request: TransferRequest, change: int) -> None:
        key = request.template.job_id.int
        count = self._under_way.get(key, 0) + change
        if count:
            self._under_way[key] = count
        else:
            del self._under_way[key]

    def _next_host(self) -> _Host | None:
        turns = self._turns
        while turns:
            host = turns[0]
            if host.running < self._limits.max_per_host and self._has_quick(host):
                return host
            host.has_turn = False
            turns.popleft()
        return None

    def _has_quick(self, host: _Host) -> bool:
        """Move requests of slow jobs to their lane and return whether a quick job's one waits."""
        slow_jobs = self._slow_jobs
        while slow_jobs and host.waiting and host.waiting[0].template.job_id in slow_jobs:
            host.waiting_slow.append(host.waiting.popleft())
            self._give_slow_turn(host)
        return bool(host.waiting)

    def _next_slow_host(self) -> _Host | None:
        if self._slow >= self._max_slow:
            return None
        turns = self._turns_slow
        while turns:
            host = turns[0]
            if self._may_start_slow(host):
                return host
            host.has_slow_turn = False
            turns.popleft()
        return None

    def _may_start_slow(self, host: _Host) -> bool:
        return bool(
            host.waiting_slow
            and host.running < self._limits.max_per_host
            and host.slow < self._max_slow_per_host
        )

    def _give_turns(self, host: _Host) -> None:
        """Give the host a turn in each lane in which requests wait."""
        if host.waiting and not host.has_turn:
            host.has_turn = True
            self._turns.append(host)
        if host.waiting_slow:
            self._give_slow_turn(host)

    def _give_slow_turn(self, host: _Host) -> None:
        if host.waiting_slow and not host.has_slow_turn:
            host.has_slow_turn = True
            self._turns_slow.append(host)

    def _remember(self, job_id: UUID) -> None:
        # Jobs that were deleted while slow would stay for ever, and starting over costs little.
        if len(self._slow_jobs) >= _MAX_SLOW_JOBS:
            self._slow_jobs.clear()
        self._slow_jobs.add(job_id)


def _is_before(one: TransferRequest, other: TransferRequest) -> bool:
    return one.fire_at < other.fire_at

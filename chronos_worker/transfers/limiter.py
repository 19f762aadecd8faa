"""Which transfer may start next, so that no host and no slow job takes every place.

Pure bookkeeping without input or output; only the engine's thread changes it.

1. At most ``max_transfers`` run at once, and at most ``max_per_host`` to one host and port.
2. What must wait queues by host, first in, first out; hosts take turns. So a host whose quota is
   used up delays nobody else.
3. A job with a transfer that has been running for ``SLOW_AFTER`` seconds is slow until one of its
   transfers is quicker. Slow jobs wait in a lane of their own, which may hold only half of each
   limit. So hanging endpoints do not take the places of the quick ones on the same host.
4. What is due while another transfer of its job is under way waits in that lane too: when many
   jobs begin to hang, their next ones come before anybody knows.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from chronos_worker.http.request import Request

SLOW_AFTER: Final = 1.0
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How many transfers may run at once, in total and to one host and port."""

    max_transfers: int
    max_per_host: int


@dataclass(slots=True, eq=False)
class _Host:
    """One host and port: what runs there, and what waits."""

    name: str
    running: int = 0
    slow: int = 0
    waiting: deque[Request] = field(default_factory=deque)
    waiting_slow: deque[Request] = field(default_factory=deque)
    listed: bool = False
    listed_slow: bool = False


@dataclass(slots=True, eq=False)
class Permit:
    """A transfer's place, from its start to its end."""

    request: Request
    host: _Host
    started: float
    slow: bool
    released: bool = False


class Limiter:
    """Hands out places to transfers that are due."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._max_slow = max(1, limits.max_transfers // 2)
        self._max_slow_per_host = max(1, limits.max_per_host // 2)
        self._hosts: dict[str, _Host] = {}
        self._turns: deque[_Host] = deque()
        self._turns_slow: deque[_Host] = deque()
        self._young: deque[Permit] = deque()
        self._slow_jobs: set[UUID] = set()
        # Transfers of each job, by its identifier as a number, which is hashed at once.
        self._under_way: dict[int, int] = {}
        self._running = 0
        self._slow = 0

    def offer(self, request: Request) -> None:
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
        self._list(host)

    def take(self, now: float) -> Permit | None:
        """Give the next request its place at ``now`` (monotonic seconds), if there is one."""
        if self._running >= self._limits.max_transfers:
            return None
        quick = self._next_host()
        slow = self._next_slow_host() if self._turns_slow else None
        if slow and (not quick or _is_before(slow.waiting_slow[0], quick.waiting[0])):
            return self._start(slow, now, slow=True)
        return self._start(quick, now, slow=False) if quick else None

    def release(self, permit: Permit, now: float, *, ended: bool = True) -> None:
        """Take the place back; ``ended`` is false when nobody knows how long it would take."""
        host, permit.released = permit.host, True
        self._running -= 1
        host.running -= 1
        self._count_job(permit.request, -1)
        if permit.slow:
            self._slow -= 1
            host.slow -= 1
        if ended and self._slow_jobs and now - permit.started < SLOW_AFTER:
            self._slow_jobs.discard(permit.request.template.job_id)
        self._list(host)
        if not (host.running or host.waiting or host.waiting_slow):
            self._forget(host)

    def age(self, now: float) -> None:
        """Find the transfers that have become slow by ``now``; call it now and then."""
        young = self._young
        while young and (young[0].released or young[0].started + SLOW_AFTER <= now):
            permit = young.popleft()
            if not permit.released:
                permit.slow = True
                permit.host.slow += 1
                self._slow += 1
                self._remember(permit.request.template.job_id)

    def behind(self) -> int:
        """Return how many wait for the engine rather than for hosts that keep their places.

        The others of a host whose transfers are mostly slow wait for those. This may be asked from
        any thread.
        """
        # A list of all at once: the engine's thread adds and forgets hosts meanwhile.
        hosts = list(self._hosts.values())
        return sum(len(host.waiting) for host in hosts if host.slow * 2 <= host.running)

    def _start(self, host: _Host, now: float, *, slow: bool) -> Permit:
        host.running += 1
        self._running += 1
        if slow:
            host.slow += 1
            self._slow += 1
            self._turns_slow.popleft()
            host.listed_slow = False
            permit = Permit(host.waiting_slow.popleft(), host, now, slow)
        else:
            self._turns.popleft()
            host.listed = False
            permit = Permit(host.waiting.popleft(), host, now, slow)
            self._young.append(permit)
        self._count_job(permit.request, 1)
        self._list(host)
        return permit

    def _count_job(self, request: Request, change: int) -> None:
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
            host.listed = False
            turns.popleft()
        return None

    def _has_quick(self, host: _Host) -> bool:
        """Tell whether a quick job's request waits; move those that became slow to their lane."""
        slow_jobs = self._slow_jobs
        while slow_jobs and host.waiting and host.waiting[0].template.job_id in slow_jobs:
            host.waiting_slow.append(host.waiting.popleft())
            self._list_slow(host)
        return bool(host.waiting)

    def _next_slow_host(self) -> _Host | None:
        if self._slow >= self._max_slow:
            return None
        turns = self._turns_slow
        while turns:
            host = turns[0]
            if self._may_start_slow(host):
                return host
            host.listed_slow = False
            turns.popleft()
        return None

    def _may_start_slow(self, host: _Host) -> bool:
        return bool(
            host.waiting_slow
            and host.running < self._limits.max_per_host
            and host.slow < self._max_slow_per_host
        )

    def _list(self, host: _Host) -> None:
        """Give the host its turn in each lane in which something waits."""
        if host.waiting and not host.listed:
            host.listed = True
            self._turns.append(host)
        if host.waiting_slow:
            self._list_slow(host)

    def _list_slow(self, host: _Host) -> None:
        if host.waiting_slow and not host.listed_slow:
            host.listed_slow = True
            self._turns_slow.append(host)

    def _forget(self, host: _Host) -> None:
        self._hosts.pop(host.name, None)

    def _remember(self, job_id: UUID) -> None:
        # Jobs that were deleted while slow would stay for ever; starting over costs little.
        if len(self._slow_jobs) >= _MAX_REMEMBERED:
            self._slow_jobs.clear()
        self._slow_jobs.add(job_id)


def _is_before(one: Request, other: Request) -> bool:
    return one.fire_at < other.fire_at

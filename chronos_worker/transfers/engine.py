"""The transfer engine: one thread that sends webhooks, each at its instant, thousands a second.

A request passes through these places, and exactly one of them has it at any time:

1. ``submit`` puts it into the inbox, from any thread.
2. The engine's thread keeps it in a heap until its ``fire_at``.
3. It waits for a permit, as ``slots`` decides.
4. ``may_start`` has the last word: what this worker no longer holds does not leave.
5. ``flights`` carries it, and ``on_done`` gets its result.

A cancelled request vanishes from wherever it is, without a result.
"""

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from threading import Thread
from typing import Final
from uuid import UUID

import structlog

from chronos_worker.http.request import Request
from chronos_worker.transfers.curl_multi import CurlMulti
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.limiter import Limiter, Limits, Permit
from chronos_worker.transfers.results import TransferResult
from chronos_worker.transfers.transfer import Transfer, Transfers

# Bytes move after so many starts: of many that are due at one instant, the first leave at once.
_STARTS_PER_TURN: Final = 32
# The clock may be corrected, and transfers become slow, while nothing else happens.
_LONGEST_WAIT_SECONDS: Final = 0.5
# Nothing waits and nothing is on its way: whatever comes wakes the engine.
_LONGEST_REST_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 5.0
_FIRE_AT: Final = attrgetter("execution.due_at")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a stopped engine leaves: requests that never left, and those cut off on their way."""

    unstarted: Sequence[Request]
    aborted: Sequence[Request]


class TransferEngine:
    """Starts each request at its ``fire_at`` and reports its result.

    ``on_done`` and ``may_start`` are called on the engine's thread and must return quickly.
    ``now`` gives the time that ``fire_at`` is meant in. All methods may be called from any thread.
    ``last_turn`` is the sign of life, in ``time.monotonic`` seconds: while all is well never older
    than a second, or than ``_LONGEST_REST_SECONDS`` while there is nothing to do.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        guard: EgressGuard,
        on_done: Callable[[Request, TransferResult], None],
        may_start: Callable[[Request], bool],
        now: Callable[[], datetime],
    ) -> None:
        self.last_turn = time.monotonic()
        self._on_done = on_done
        self._may_start = may_start
        self._now = now
        self._inbox: deque[Callable[[], None]] = deque()
        self._sequence = itertools.count()
        # What a message brought for the same instant stays together.
        self._future: list[tuple[float, int, Sequence[Request]]] = []
        self._waiting: dict[int, Request] = {}
        self._limiter = Limiter(limits)
        self._multi = CurlMulti(max_connections=limits.max_transfers)
        self._transfers = Transfers(multi=self._multi, guard=guard, now=now, on_ended=self._ended)
        self._is_closed = False
        self._is_stopped = False
        self._thread = Thread(target=self._run, name="transfers", daemon=True)

    def start(self) -> None:
        """Start the engine's thread."""
        self._thread.start()

    def submit(self, requests: Sequence[Request]) -> None:
        """Send each request at its ``fire_at``, or as soon as possible if that has passed.

        A request replaces an earlier one of the same execution: whoever claimed it again knows
        better. After :meth:`withdraw` nothing is sent; :meth:`stop` then returns the requests.
        """
        self._order(partial(self._accept, requests))

    def cancel(self, execution_id: UUID, *, started: float | None = None) -> None:
        """Forget the request of an execution, aborting it if it is on its way; no result comes.

        With ``started``, as :meth:`in_flight` gave it, only that very transfer is aborted.
        """
        self._order(partial(self._forget, execution_id, started))

    def in_flight(self) -> list[tuple[UUID, float]]:
        """Return the executions on their way, with their start in ``time.monotonic`` seconds."""
        return [(each.request.execution.id, each.started) for each in self._transfers.snapshot()]

    @property
    def waiting(self) -> int:
        """How many requests were taken and have not started."""
        return len(self._waiting)

    @property
    def behind(self) -> int:
        """How many requests are due and wait for this engine, rather than for hosts that hang."""
        return self._limiter.behind()

    def overdue(self, before: datetime) -> list[UUID]:
        """Return the executions due before ``before`` that wait for a permit still."""
        return [
            each.execution.id for each in list(self._waiting.values()) if each.fire_at < before
        ]

    def take_back(self, execution_ids: Collection[UUID]) -> list[Request]:
        """Take back the requests of these executions that have not started.

        None are, if the engine does not come to it within some seconds: it keeps them.
        """
        return self._asked(partial(self._take_back, execution_ids))

    def withdraw(self) -> list[Request]:
        """Take back, as :meth:`take_back`, all that has not started; what comes does not start."""
        self._order(self._close)
        return self._asked(self._take_back_all)

    def drain(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until nothing waits and nothing is on its way."""
        deadline = time.monotonic() + timeout
        while self._inbox or self._waiting or self._transfers:
            if time.monotonic() >= deadline or not self._thread.is_alive():
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> Leftover:
        """End the thread, aborting what is on its way, and return all that got no result."""
        self._order(self._stop)
        if self._thread.is_alive():
            self._thread.join(_ANSWER_SECONDS)
        aborted = [transfer.request for transfer in self._transfers.snapshot()]
        return Leftover(list(self._waiting.values()), aborted)

    def _order(self, order: Callable[[], None]) -> None:
        self._inbox.append(order)
        self._multi.wake()

    def _asked(self, hand_over: Callable[[], list[Request]]) -> list[Request]:
        """Return what ``hand_over`` returns on the engine's thread."""
        answer: Future[list[Request]] = Future()

        def give_answer() -> None:
            # Nobody would have what is handed over when nobody waits for it any more.
            if answer.set_running_or_notify_cancel():
                answer.set_result(hand_over())

        self._order(give_answer)
        try:
            return answer.result(_ANSWER_SECONDS)
        except TimeoutError:
            _log.warning("transfer engine is late")
            return [] if answer.cancel() else answer.result(_ANSWER_SECONDS)

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - one fault must not end all transfers
                _log.exception("transfer engine fault")
                # Whatever it is must not also take the processor away from everybody else.
                time.sleep(0.05)
        self._multi.close()

    def _turn(self) -> None:
        self._take_orders()
        self._queue_due()
        may_be_more = self._start_some()
        for done in self._multi.turn(0 if may_be_more else self._seconds_to_next()):
            self._transfers.finish(done)
        self.last_turn = time.monotonic()

    def _take_orders(self) -> None:
        inbox = self._inbox
        while inbox:
            try:
                inbox[0]()
            finally:
                # Only now, so that drain() sees the order until its effect shows.
                inbox.popleft()

    def _accept(self, requests: Sequence[Request]) -> None:
        for request in requests:
            identifier = request.execution.id
            self._transfers.abort(identifier)
            self._waiting[identifier.int] = request
        if not self._is_closed:
            for fire_at, together in itertools.groupby(requests, _FIRE_AT):
                entry = fire_at.timestamp(), next(self._sequence), list(together)
                heapq.heappush(self._future, entry)

    def _forget(self, execution_id: UUID, started: float | None) -> None:
        if started is None:
            self._waiting.pop(execution_id.int, None)
        self._transfers.abort(execution_id, started=started)

    def _take_back(self, execution_ids: Collection[UUID]) -> list[Request]:
        found = [self._waiting.pop(each.int, None) for each in execution_ids]
        return [request for request in found if request]

    def _take_back_all(self) -> list[Request]:
        taken, self._waiting = list(self._waiting.values()), {}
        return taken

    def _close(self) -> None:
        self._is_closed = True
        self._future.clear()

    def _stop(self) -> None:
        self._is_closed = self._is_stopped = True

    def _queue_due(self) -> None:
        """Move what is due from the heap to the slots."""
        future = self._future
        if not future:
            return
        now = self._now().timestamp()
        while future and future[0][0] <= now:
            for request in heapq.heappop(future)[2]:
                if self._waiting.get(request.execution.id.int) is request:
                    self._limiter.offer(request)

    def _start_some(self) -> bool:
        """Start what has a permit; tell whether there may be more to start at once."""
        now = time.monotonic()
        self._limiter.age(now)
        for _ in range(_STARTS_PER_TURN):
            permit = self._limiter.take(now)
            if permit is None:
                return False
            self._start(permit)
        return True

    def _start(self, permit: Permit) -> None:
        request = permit.request
        if self._waiting.get(request.execution.id.int) is request:
            if self._is_allowed(request):
                # In both places for a moment rather than in none: drain() looks at any time.
                self._transfers.start(permit)
                self._waiting.pop(request.execution.id.int, None)
                return
            del self._waiting[request.execution.id.int]
        self._limiter.release(permit, time.monotonic(), ended=False)

    def _is_allowed(self, request: Request) -> bool:
        try:
            return self._may_start(request)
        except Exception:  # noqa: BLE001 - it must not end all transfers
            _log.exception("lease not checked", execution_id=str(request.execution.id))
            return False

    def _ended(self, transfer: Transfer, result: TransferResult | None) -> None:
        self._limiter.release(transfer.permit, time.monotonic(), ended=result is not None)
        if result is None:
            return
        try:
            self._on_done(transfer.request, result)
        except Exception:  # noqa: BLE001 - it must not end all transfers
            identifier = str(transfer.request.execution.id)
            _log.exception("transfer result lost", execution_id=identifier)

    def _seconds_to_next(self) -> float:
        if self._inbox or self._is_stopped:
            return 0
        if not self._waiting and not self._transfers:
            return _LONGEST_REST_SECONDS
        if not self._future:
            return _LONGEST_WAIT_SECONDS
        seconds = self._future[0][0] - self._now().timestamp()
        return min(max(seconds, 0), _LONGEST_WAIT_SECONDS)

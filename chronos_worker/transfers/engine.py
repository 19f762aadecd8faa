"""The transfer engine: one thread that sends webhooks, each at its instant, thousands a second.

A request passes through these places, and one of them has it at any time:

1. ``submit`` puts it into the inbox, from any thread.
2. The engine's thread keeps it in a heap until its ``due_at``.
3. It waits until ``limiter`` gives it a permit.
4. ``may_start`` may refuse it: a request does not leave if this worker has lost its execution.
5. ``transfer`` carries it, and ``on_done`` gets its result.

While it starts, it is in the last two places for a moment, so that none of them seems empty too
early. A cancelled request is dropped from its place, without a result.
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

from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers import errors
from chronos_worker.transfers.curl_multi import CurlMulti
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.limiter import Limiter, Limits, Permit
from chronos_worker.transfers.results import ErrorKind, TransferResult
from chronos_worker.transfers.transfer import Transfer, Transfers

# Requests started before libcurl moves bytes. Of many that are due at once, the first do not wait.
_STARTS_PER_PASS: Final = 32
# The clock may be corrected and transfers may become slow while nothing else happens.
_LONGEST_WAIT_SECONDS: Final = 0.5
# While there is nothing to do: a command wakes the engine.
_LONGEST_REST_SECONDS: Final = 20.0
# The longest wait for an answer of the engine's thread.
_ANSWER_SECONDS: Final = 5.0
_DUE_AT: Final = attrgetter("execution.due_at")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Leftover:
    """The requests of a stopped engine that got no result: unstarted, or aborted on their way."""

    unstarted: Sequence[TransferRequest]
    aborted: Sequence[TransferRequest]


class TransferEngine:
    """Starts each request at its ``due_at`` and reports its result.

    ``on_done`` and ``may_start`` are called on the engine's thread and must return quickly.
    ``now`` is the clock of ``due_at``. All methods may be called from any thread.
    ``last_pass`` is the sign of life, in ``time.monotonic`` seconds. While all is well it is never
    older than a second, or than ``_LONGEST_REST_SECONDS`` while there is nothing to do.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        guard: EgressGuard,
        on_done: Callable[[TransferRequest, TransferResult], None],
        may_start: Callable[[TransferRequest], bool],
        now: Callable[[], datetime],
    ) -> None:
        self.last_pass = time.monotonic()
        self._on_done = on_done
        self._may_start = may_start
        self._now = now
        self._inbox: deque[Callable[[], None]] = deque()
        self._sequence = itertools.count()
        # Requests of one submission for the same instant stay together.
        self._future: list[tuple[float, int, Sequence[TransferRequest]]] = []
        # The requests in the heap and in the limiter. One that is taken out here does not start.
        self._unstarted: dict[int, TransferRequest] = {}
        self._limiter = Limiter(limits)
        self._multi = CurlMulti(max_connections=limits.max_transfers)
        self._transfers = Transfers(multi=self._multi, guard=guard, now=now, on_ended=self._ended)
        self._is_closed = False
        self._is_stopped = False
        self._thread = Thread(target=self._run, name="transfers", daemon=True)

    def start(self) -> None:
        """Start the engine's thread."""
        self._thread.start()

    def submit(self, requests: Sequence[TransferRequest]) -> None:
        """Send each request at its ``due_at``, or as soon as possible if that has passed.

        A request replaces an earlier one of the same execution, because a later claim is newer.
        After :meth:`withdraw` nothing is sent, and :meth:`stop` returns the requests.
        """
        self._post(partial(self._accept, requests))

    def cancel(self, execution_id: UUID, *, started: float | None = None) -> None:
        """Drop the request of an execution, or abort its transfer, without a result.

        With ``started``, as :meth:`in_flight` returned it, only that very transfer is aborted.
        """
        self._post(partial(self._drop, execution_id, started))

    def in_flight(self) -> list[tuple[UUID, float]]:
        """Return the executions with a transfer, and its start in ``time.monotonic`` seconds."""
        return [(each.request.execution.id, each.started) for each in self._transfers.snapshot()]

    @property
    def unstarted(self) -> int:
        """The number of requests that were submitted and have not started."""
        return len(self._unstarted)

    @property
    def behind(self) -> int:
        """The number of due requests that wait for this engine, not for hanging hosts."""
        return self._limiter.behind()

    def overdue(self, before: datetime) -> list[UUID]:
        """Return the executions due before ``before`` that still wait for a permit."""
        return [
            each.execution.id for each in list(self._unstarted.values()) if each.due_at < before
        ]

    def take_back(self, execution_ids: Collection[UUID]) -> list[TransferRequest]:
        """Take back the requests of these executions that have not started.

        If the engine does not answer within some seconds, it keeps them, and none are returned.
        """
        return self._call(partial(self._take_back, execution_ids))

    def withdraw(self) -> list[TransferRequest]:
        """Take back all requests that have not started. From then on none starts."""
        self._post(self._close)
        return self._call(self._take_back_all)

    def drain(self, timeout: float) -> bool:
        """Wait until no request is left, or return False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._inbox or self._unstarted or self._transfers:
            if time.monotonic() >= deadline or not self._thread.is_alive():
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> Leftover:
        """End the thread and its transfers, and return the requests without a result."""
        self._post(self._stop)
        if self._thread.is_alive():
            self._thread.join(_ANSWER_SECONDS)
        aborted = [transfer.request for transfer in self._transfers.snapshot()]
        return Leftover(list(self._unstarted.values()), aborted)

    def _post(self, command: Callable[[], None]) -> None:
        self._inbox.append(command)
        self._multi.wake()

    def _call(self, function: Callable[[], list[TransferRequest]]) -> list[TransferRequest]:
        """Call ``function`` on the engine's thread, and return its result."""
        answer: Future[list[TransferRequest]] = Future()

        def give_answer() -> None:
            # If the caller has timed out, skip: the requests would be lost.
            if answer.set_running_or_notify_cancel():
                answer.set_result(function())

        self._post(give_answer)
        try:
            return answer.result(_ANSWER_SECONDS)
        except TimeoutError:
            _log.warning("transfer engine is late")
            return [] if answer.cancel() else answer.result(_ANSWER_SECONDS)

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._run_once()
            except Exception:  # noqa: BLE001 - one fault must not end all transfers
                _log.exception("transfer engine fault")
                # A fault that repeats must not take the processor from other threads.
                time.sleep(0.05)
        self._multi.close()

    def _run_once(self) -> None:
        self._run_commands()
        self._queue_due()
        may_be_more = self._start_some()
        for done in self._multi.run_once(0 if may_be_more else self._seconds_to_next()):
            self._transfers.finish(done)
        self.last_pass = time.monotonic()

    def _run_commands(self) -> None:
        inbox = self._inbox
        while inbox:
            try:
                inbox[0]()
            finally:
                # Only now, so that drain() sees the command until it sees its effect.
                inbox.popleft()

    def _accept(self, requests: Sequence[TransferRequest]) -> None:
        for request in requests:
            identifier = request.execution.id
            self._transfers.abort(identifier)
            self._unstarted[identifier.int] = request
        if not self._is_closed:
            for due_at, together in itertools.groupby(requests, _DUE_AT):
                entry = due_at.timestamp(), next(self._sequence), list(together)
                heapq.heappush(self._future, entry)

    def _drop(self, execution_id: UUID, started: float | None) -> None:
        if started is None:
            self._unstarted.pop(execution_id.int, None)
        self._transfers.abort(execution_id, started=started)

    def _take_back(self, execution_ids: Collection[UUID]) -> list[TransferRequest]:
        found = [self._unstarted.pop(each.int, None) for each in execution_ids]
        return [request for request in found if request]

    def _take_back_all(self) -> list[TransferRequest]:
        taken, self._unstarted = list(self._unstarted.values()), {}
        return taken

    def _close(self) -> None:
        self._is_closed = True
        self._future.clear()

    def _stop(self) -> None:
        self._is_closed = self._is_stopped = True

    def _queue_due(self) -> None:
        """Move due requests from the heap to the limiter."""
        future = self._future
        if not future:
            return
        now = self._now().timestamp()
        while future and future[0][0] <= now:
            for request in heapq.heappop(future)[2]:
                if self._unstarted.get(request.execution.id.int) is request:
                    self._limiter.enqueue(request)

    def _start_some(self) -> bool:
        """Start requests that get a permit and return whether more may start at once."""
        now = time.monotonic()
        self._limiter.mark_slow(now)
        for _ in range(_STARTS_PER_PASS):
            permit = self._limiter.acquire(now)
            if permit is None:
                return False
            self._start(permit)
        return True

    def _start(self, permit: Permit) -> None:
        request = permit.request
        if self._unstarted.get(request.execution.id.int) is request:
            if self._is_allowed(request):
                try:
                    # In both places for a moment rather than in none: drain() may look now.
                    self._transfers.start(permit)
                except Exception as error:  # noqa: BLE001 - nothing has left, and others go on
                    self._not_started(request, error)
                else:
                    self._unstarted.pop(request.execution.id.int, None)
                    return
            del self._unstarted[request.execution.id.int]
        self._limiter.release(permit, time.monotonic(), ended=False)

    def _not_started(self, request: TransferRequest, error: Exception) -> None:
        """Report a request for which no handle could be made."""
        problem = errors.not_sent(error)._replace(kind=ErrorKind.WORKER)
        self._report(request, TransferResult(self._now(), 0.0, error=problem))

    def _is_allowed(self, request: TransferRequest) -> bool:
        try:
            return self._may_start(request)
        except Exception:  # noqa: BLE001 - it must not end all transfers
            _log.exception("lease not checked", execution_id=str(request.execution.id))
            return False

    def _ended(self, transfer: Transfer, result: TransferResult | None) -> None:
        self._limiter.release(transfer.permit, time.monotonic(), ended=result is not None)
        if result is not None:
            self._report(transfer.request, result)

    def _report(self, request: TransferRequest, result: TransferResult) -> None:
        try:
            self._on_done(request, result)
        except Exception:  # noqa: BLE001 - it must not end all transfers
            identifier = str(request.execution.id)
            _log.exception("transfer result lost", execution_id=identifier)

    def _seconds_to_next(self) -> float:
        if self._inbox or self._is_stopped:
            return 0
        if not self._unstarted and not self._transfers:
            return _LONGEST_REST_SECONDS
        if not self._future:
            return _LONGEST_WAIT_SECONDS
        seconds = self._future[0][0] - self._now().timestamp()
        return min(max(seconds, 0), _LONGEST_WAIT_SECONDS)

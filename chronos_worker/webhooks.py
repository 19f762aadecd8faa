"""The executor of webhooks: it stands between the claim, the transfer engine and the recorder."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Lock, Semaphore
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock, metrics
from chronos_common.domain import queues
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import POSTPONED_BY
from chronos_common.errors import Unavailable
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.settings import Settings
from chronos_common.storage.executions import claims
from chronos_common.storage.postgres.database import transaction
from chronos_worker.actions import webhook
from chronos_worker.attempts import Finished, unperformed
from chronos_worker.http.request import TransferRequest
from chronos_worker.http.request_memory import RequestMemory
from chronos_worker.recorder import Recorder
from chronos_worker.transfers import descriptors
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.engine import TransferEngine
from chronos_worker.transfers.limiter import Limits
from chronos_worker.transfers.results import TransferResult

_log = structlog.get_logger(__name__)

#: Overdue requests that wait in memory. Further ones go back to PostgreSQL for a while.
MAX_WAITING = 20_000

#: Batches that are claimed and prepared at once.
BATCHES = 4
#: Late requests that make the next batch wait. A backlog leaves room for messages of a share.
MAX_BEHIND = 4000
MAX_BACKLOG_BEHIND = 1000
#: The longest wait of a batch for late requests.
LATE_SECONDS = 1.0
#: The longest wait of a batch for earlier batches, all of whose waits are bounded too.
QUEUE_SECONDS = 60.0

#: Younger transfers are not checked for a cancellation: most end before.
WATCH_AFTER = timedelta(seconds=1)


class Webhooks:
    """Sends claimed webhooks and hands their outcomes to the recorder.

    ``on_begin`` is called when there are requests to :meth:`watch`.
    """

    def __init__(
        self,
        database: Engine,
        recorder: Recorder,
        heartbeat: Heartbeat,
        settings: Settings,
        *,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_begin = on_begin
        self._database = database
        self._recorder = recorder
        self._heartbeat = heartbeat
        # Taken from the transfer engine, and not given back yet.
        self._to_give_back: deque[TransferRequest] = deque()
        self._memory = RequestMemory()
        self._draining = Lock()
        # Batches of the backlogs, however many they are, must not keep others waiting.
        self._batches, self._backlog_batches = Semaphore(BATCHES), Semaphore(BATCHES)
        self._transfers = TransferEngine(
            limits=Limits(
                descriptors.transfers_within(settings.max_transfers),
                settings.max_transfers_per_host,
            ),
            guard=EgressGuard.of(settings),
            on_done=self._done,
            may_start=self._may_start,
            now=clock.now,
        )

    def start(self) -> None:
        """Start the transfer engine."""
        self._transfers.start()

    @property
    def in_flight(self) -> int:
        """The number of executions that wait or run in the engine."""
        return self._transfers.unstarted + len(self._transfers.in_flight())

    @property
    def is_any_left(self) -> bool:
        """Whether there are requests to watch, in the engine or on their way back."""
        return bool(self._to_give_back) or self.in_flight > 0

    @property
    def is_late(self) -> bool:
        """Whether due requests wait for the engine, rather than for hosts that hang."""
        return self._transfers.behind > 0

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last pass of the engine's loop."""
        return monotonic() - self._transfers.last_pass

    @contextmanager
    def room_for_batch(self, stop: Event, *, is_backlog: bool = False) -> Iterator[None]:
        """Wait until the engine can use another batch, or until ``stop``.

        Claiming and preparing compete with the engine for the processor. While it is late, more
        of them would make it send less.
        Raises :class:`Unavailable` if earlier batches take too long.
        """
        batches = self._backlog_batches if is_backlog else self._batches
        if not batches.acquire(timeout=QUEUE_SECONDS):
            raise Unavailable("The batches before this one take too long to be claimed.")
        try:
            ends = monotonic() + LATE_SECONDS
            most = MAX_BACKLOG_BEHIND if is_backlog else MAX_BEHIND
            while self._transfers.behind > most and monotonic() < ends:
                if stop.wait(0.005):
                    break
            yield
        finally:
            batches.release()

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        """Hand each execution's request to the engine, which sends it at its instant."""
        requests = []
        for execution, job in claimed:
            try:
                request = webhook.prepare(execution, job)
                self._memory.hold(job.workspace_id, request.template)
                requests.append(request)
            except Exception as error:  # noqa: BLE001 - poison fails its own execution only
                self._recorder.put(unperformed(execution, job, error))
        self._transfers.submit(requests)
        self._on_begin()
        metrics.IN_FLIGHT.set(self.in_flight)

    def _may_start(self, request: TransferRequest) -> bool:
        """Return whether this worker, which may have been frozen, still holds the execution."""
        if self._heartbeat.holds(request.execution.worker_id):
            return True
        _log.warning("lease ended before the start", execution_id=str(request.execution.id))
        self._to_give_back.append(request)
        return False

    def _done(self, request: TransferRequest, result: TransferResult) -> None:
        outcome, attempt = webhook.outcome(request, result)
        job = request.job
        self._recorder.put(
            Finished(request.execution, queues.WEBHOOKS, job.policy, outcome, attempt, job.version)
        )

    def watch(self) -> bool:
        """Release requests that this worker must not send any more. The tick of a loop."""
        self._give_back_unstarted()
        self._abort_lost()
        self._take_back_unwanted()
        self._postpone_excess()
        metrics.IN_FLIGHT.set(self.in_flight)
        return False

    def _give_back_unstarted(self) -> None:
        """Give back requests that were taken from the engine, unless rescue was first."""
        with self._draining:
            unstarted = [self._to_give_back.popleft() for _ in range(len(self._to_give_back))]
        with self._kept(unstarted):
            self._give_back(unstarted, have_left=False)

    def _give_back(self, requests: Sequence[TransferRequest], *, have_left: bool) -> None:
        for (worker_id, claimed_at), execution_ids in _by_claim(requests).items():
            with transaction(self._database) as connection:
                given = claims.give_back(
                    connection,
                    execution_ids,
                    worker_id=worker_id,
                    claimed_at=claimed_at,
                    have_left=have_left,
                )
            _log.info("given back", executions=given)

    @contextmanager
    def _kept(self, requests: Sequence[TransferRequest]) -> Iterator[None]:
        """Keep the requests for a later attempt if PostgreSQL does not confirm the block."""
        try:
            yield
        except Exception:
            self._to_give_back.extend(requests)
            raise

    def _abort_lost(self) -> None:
        """Abort transfers whose execution was cancelled or given to another worker."""
        before = monotonic() - WATCH_AFTER.total_seconds()
        long_running = {
            identifier: started
            for identifier, started in self._transfers.in_flight()
            if started < before
        }
        if not long_running:
            return
        with transaction(self._database) as connection:
            held = claims.still_held(connection, list(long_running), worker_id=self._heartbeat.id)
        for identifier in long_running.keys() - held:
            # Only that very transfer, not a later one of the same execution.
            _log.info("transfer aborted", execution_id=str(identifier))
            self._transfers.cancel(identifier, started=long_running[identifier])

    def _take_back_unwanted(self) -> None:
        """Give back waiting requests whose execution was cancelled or whose job was paused."""
        waiting = self._transfers.overdue(clock.now() - WATCH_AFTER)
        if not waiting:
            return
        with transaction(self._database) as connection:
            wanted = claims.still_wanted(connection, waiting, worker_id=self._heartbeat.id)
        unwanted = set(waiting) - wanted
        if unwanted:
            self._to_give_back.extend(self._transfers.take_back(unwanted))
            self._give_back_unstarted()

    def _postpone_excess(self) -> None:
        """Postpone overdue requests beyond a bound: hanging targets must not fill the memory."""
        excess = self._transfers.overdue(clock.now() - WATCH_AFTER)[MAX_WAITING:]
        if not excess:
            return
        requests = self._transfers.take_back(excess)
        claimed = [each.execution for each in requests]
        with self._kept(requests), transaction(self._database) as connection:
            claims.postpone(connection, claimed, due_at=clock.now() + POSTPONED_BY)
        _log.warning("too many wait for their targets", postponed=len(requests))

    def stop(self, grace_seconds: float) -> None:
        """Give back requests that have not started and transfers that outlast the grace."""
        self._to_give_back.extend(self._transfers.withdraw())
        self._give_back_safely()
        self._transfers.drain(grace_seconds)
        leftover = self._transfers.stop()
        self._to_give_back.extend(leftover.unstarted)
        self._give_back_safely(leftover.aborted)

    def _give_back_safely(self, aborted: Sequence[TransferRequest] = ()) -> None:
        try:
            self._give_back_unstarted()
            self._give_back(aborted, have_left=True)
        except SQLAlchemyError:
            _log.exception("left to rescue", executions=len(self._to_give_back) + len(aborted))


def _by_claim(requests: Sequence[TransferRequest]) -> dict[tuple[UUID, datetime], list[UUID]]:
    """Return execution ids by their claim: the worker's identity and the time."""
    found: dict[tuple[UUID, datetime], list[UUID]] = defaultdict(list)
    for request in requests:
        execution = request.execution
        found[execution.worker_id, execution.claimed_at].append(execution.id)
    return found

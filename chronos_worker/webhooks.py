"""Webhooks on their way: between the claim and the recorder stands the transfer engine."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
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
from chronos_common.errors import Unavailable
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.settings import Settings
from chronos_common.storage.executions import rescue
from chronos_common.storage.postgres.database import transaction
from chronos_worker.actions import webhook
from chronos_worker.attempts import Finished, invalid_payload
from chronos_worker.http.request import Request
from chronos_worker.recorder import Recorder
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.engine import TransferEngine
from chronos_worker.transfers.limiter import Limits
from chronos_worker.transfers.results import TransferResult

_log = structlog.get_logger(__name__)

#: What waits for a slot beyond this number waits in PostgreSQL instead, and comes back later.
MAX_WAITING = 20_000
POSTPONED_BY = timedelta(seconds=10)

#: Batches that are claimed and prepared at once, and how many requests may be late before the next
#: has to wait, for so long at most.
BATCHES = 4
MAX_BEHIND = 1000
TURN_SECONDS = 1.0
#: The longest wait for the batches before, all of whose waits are bounded too.
QUEUE_SECONDS = 60.0

#: A transfer younger than this is not worth asking whether somebody cancelled it.
WATCH_AFTER = timedelta(seconds=1)


class Webhooks:
    """Sends claimed webhooks and hands their outcomes to the recorder."""

    def __init__(
        self, engine: Engine, recorder: Recorder, heartbeat: Heartbeat, settings: Settings
    ) -> None:
        """Build the transfer engine; nothing is sent before :meth:`start`."""
        self._engine = engine
        self._recorder = recorder
        self._heartbeat = heartbeat
        self._unstarted: deque[Request] = deque()  # taken from the engine, not given back yet
        self._taking = Lock()
        self._turns = Semaphore(BATCHES)
        self._transfers = TransferEngine(
            limits=Limits(settings.max_transfers, settings.max_transfers_per_host),
            guard=EgressGuard(settings.egress_allow),
            on_done=self._done,
            may_start=self._may_start,
            now=clock.now,
        )

    def start(self) -> None:
        """Begin to send."""
        self._transfers.start()

    @property
    def in_flight(self) -> int:
        """How many executions are with the engine."""
        return self._transfers.waiting + len(self._transfers.in_flight())

    @property
    def is_late(self) -> bool:
        """Whether requests are due and wait for the engine, rather than for hosts that hang."""
        return self._transfers.behind > 0

    @property
    def silent_seconds(self) -> float:
        """For how long the engine has made no turn."""
        return monotonic() - self._transfers.last_turn

    @contextmanager
    def turn(self, stop: Event) -> Iterator[None]:
        """Wait until it is worth claiming another batch, or until ``stop``.

        When the engine is late with what it has, whoever claims and prepares more takes the
        processor from it: it would send less, and what it cannot hold would go back.
        Raises :class:`Unavailable` if the batches before take too long.
        """
        if not self._turns.acquire(timeout=QUEUE_SECONDS):
            raise Unavailable("The batches before this one take too long to be claimed.")
        try:
            ends = monotonic() + TURN_SECONDS
            while self._transfers.behind > MAX_BEHIND and monotonic() < ends:
                if stop.wait(0.005):
                    break
            yield
        finally:
            self._turns.release()

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        """Send each execution's request at its instant."""
        requests = []
        for execution, job in claimed:
            try:
                requests.append(webhook.prepare(execution, job))
            except Exception as error:  # noqa: BLE001 - poison fails its own execution only
                self._recorder.put(invalid_payload(execution, job, error))
        self._transfers.submit(requests)
        metrics.IN_FLIGHT.set(self.in_flight)

    def _may_start(self, request: Request) -> bool:
        """Refuse what this process may have lost to others while it was frozen or cut off."""
        if self._heartbeat.holds(request.execution.worker_id):
            return True
        _log.warning("lease ended before the start", execution_id=str(request.execution.id))
        self._unstarted.append(request)
        return False

    def _done(self, request: Request, result: TransferResult) -> None:
        outcome, attempt = webhook.outcome(request, result)
        policy = request.job.policy
        self._recorder.put(Finished(request.execution, queues.WEBHOOKS, policy, outcome, attempt))

    def watch(self) -> bool:
        """Let go of what is not this worker's to send any more, or must not start any more."""
        self._give_back_unstarted()
        self._abort_lost()
        self._take_back_unwanted()
        self._postpone_excess()
        metrics.IN_FLIGHT.set(self.in_flight)
        return False

    def _give_back_unstarted(self) -> None:
        """Give back what is not to be started here, unless rescue took it."""
        with self._taking:
            unstarted = [self._unstarted.popleft() for _ in range(len(self._unstarted))]
        with self._kept(unstarted):
            self._give_back(unstarted, have_left=False)

    def _give_back(self, requests: Sequence[Request], *, have_left: bool) -> None:
        for (worker_id, claimed_at), mine in _by_claim(requests).items():
            with transaction(self._engine) as connection:
                given = rescue.give_back(
                    connection,
                    mine,
                    worker_id=worker_id,
                    claimed_at=claimed_at,
                    have_left=have_left,
                )
            _log.info("given back", executions=given)

    @contextmanager
    def _kept(self, requests: Sequence[Request]) -> Iterator[None]:
        """Give requests back later, unless PostgreSQL confirms that it has them."""
        try:
            yield
        except Exception:
            self._unstarted.extend(requests)
            raise

    def _abort_lost(self) -> None:
        """Abort transfers whose execution was cancelled or given to somebody else meanwhile."""
        before = monotonic() - WATCH_AFTER.total_seconds()
        long_running = {
            identifier: started
            for identifier, started in self._transfers.in_flight()
            if started < before
        }
        if not long_running:
            return
        with transaction(self._engine) as connection:
            held = rescue.still_held(connection, list(long_running), worker_id=self._heartbeat.id)
        for identifier in long_running.keys() - held:
            # The flight that was asked about, not one that began meanwhile.
            _log.info("transfer aborted", execution_id=str(identifier))
            self._transfers.cancel(identifier, started=long_running[identifier])

    def _take_back_unwanted(self) -> None:
        """Give back what waits for a slot although it was cancelled, or its job stopped."""
        waiting = self._transfers.overdue(clock.now() - WATCH_AFTER)
        if not waiting:
            return
        with transaction(self._engine) as connection:
            wanted = rescue.still_wanted(connection, waiting, worker_id=self._heartbeat.id)
        unwanted = set(waiting) - wanted
        if unwanted:
            self._unstarted.extend(self._transfers.take_back(unwanted))
            self._give_back_unstarted()

    def _postpone_excess(self) -> None:
        """Keep targets that hang from filling this worker's memory."""
        excess = self._transfers.overdue(clock.now() - WATCH_AFTER)[MAX_WAITING:]
        if not excess:
            return
        requests = self._transfers.take_back(excess)
        due_at = clock.now() + POSTPONED_BY
        with self._kept(requests):
            for (worker_id, claimed_at), mine in _by_claim(requests).items():
                with transaction(self._engine) as connection:
                    rescue.postpone(
                        connection, mine, worker_id=worker_id, claimed_at=claimed_at, due_at=due_at
                    )
        _log.warning("too many wait for their targets", postponed=len(requests))

    def stop(self, grace_seconds: float) -> None:
        """Put back what has not started, wait for the rest, and put back what does not end."""
        self._unstarted.extend(self._transfers.withdraw())
        self._put_back()
        self._transfers.drain(grace_seconds)
        leftover = self._transfers.stop()
        self._unstarted.extend(leftover.unstarted)
        self._put_back(leftover.aborted)

    def _put_back(self, aborted: Sequence[Request] = ()) -> None:
        try:
            self._give_back_unstarted()
            self._give_back(aborted, have_left=True)
        except SQLAlchemyError:
            _log.exception("left to rescue", executions=len(self._unstarted) + len(aborted))


def _by_claim(requests: Sequence[Request]) -> dict[tuple[UUID, datetime], list[UUID]]:
    """Return executions by the identity that this process claimed them under, and when."""
    found: dict[tuple[UUID, datetime], list[UUID]] = defaultdict(list)
    for request in requests:
        execution = request.execution
        found[execution.worker_id, execution.claimed_at].append(execution.id)
    return found

"""Intake: from a message of execution ids to executions that are under way.

1. Load the jobs of the executions. Only jobs that changed since the last message are read. A
   message that is late already loads them at step 5.
2. Hold the message until just before its instant.
3. Wait until the recorder has room for more outcomes.
4. Wait for room in the executor: claiming must not take the processor from sending.
5. Claim. Executions that were paused, cancelled or claimed by another worker are left out.
6. Read long payloads, and hand the claimed executions to the executor, which starts each at its
   own instant.

A worker that stops before step 5 gives the executions back. After step 6 the message is
acknowledged. From here on the row in PostgreSQL is the lease, kept alive by
this worker's heartbeat.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.errors import Unavailable
from chronos_common.storage.executions import undispatched
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.postgres.database import transaction
from chronos_worker.attempts import not_attempted
from chronos_worker.claim import Claimer
from chronos_worker.executor import Executor
from chronos_worker.recorder import Recorder

_log = structlog.get_logger(__name__)

#: Covers the claim's round trip, so that it does not delay the start.
CLAIM_AHEAD = timedelta(milliseconds=30)

#: The longest hold. Schedulers dispatch some seconds ahead, and hosts' clocks differ a little.
LONGEST_HOLD = timedelta(seconds=15)

#: The longest wait for the recorder to catch up before a batch is left to rescue.
ROOM_TIMEOUT_SECONDS = 10.0


class TooEarly(Exception):
    """The instant is too far away: the message is not from our scheduler, or a clock is wrong."""


class Intake:
    """Takes the messages of one queue. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        claimer: Claimer,
        recorder: Recorder,
        executor: Executor,
        *,
        queue: str,
        stop: Event,
    ) -> None:
        self._engine = engine
        self._claimer = claimer
        self._recorder = recorder
        self._executor = executor
        self._queue = queue
        self._stop = stop
        self._specs = Specs()

    def accept(
        self, identifiers: Sequence[UUID], fire_at: datetime, *, is_backlog: bool = False
    ) -> None:
        """Start the executions of one message. ``fire_at`` is the earliest one's instant.

        Messages from the queue's backlog wait for room of their own.

        Raises :class:`TooEarly` or :class:`Unavailable`. The executions are then left to rescue.
        """
        is_late = fire_at <= clock.now()
        jobs = {} if is_late else self._load_jobs(identifiers)
        if not self._hold_until(fire_at - CLAIM_AHEAD):
            self._give_back(identifiers)
            return
        self._wait_for_recorder()
        with self._executor.room_for_batch(self._stop, is_backlog=is_backlog):
            if self._stop.is_set():
                self._give_back(identifiers)
                return
            if is_late:
                # Many late messages must not use all connections at once.
                jobs = self._load_jobs(identifiers)
            claimed = self._claimer.claim(identifiers, jobs, queue=self._queue)
            self._executor.begin(self._with_payloads(claimed, jobs))

    def _load_jobs(self, identifiers: Sequence[UUID]) -> Mapping[UUID, JobSpec]:
        with transaction(self._engine) as connection:
            return self._specs.of(connection, identifiers)

    def _with_payloads(
        self, claimed: Sequence[Claimed], jobs: Mapping[UUID, JobSpec]
    ) -> list[tuple[Claimed, JobSpec]]:
        """Return the executions with their jobs, of which long payloads are read now.

        Executions whose payload cannot be read go back.
        """
        without = {each.job_id for each in claimed if jobs[each.job_id].payload is None}
        if without:
            try:
                with transaction(self._engine) as connection:
                    jobs = {**jobs, **self._specs.whole(connection, without)}
            except SQLAlchemyError:
                _log.warning("payloads not read", jobs=len(without), exc_info=True)
                for each in claimed:
                    if each.job_id in without:
                        reason = "the payload of the job"
                        self._recorder.put(not_attempted(each, jobs[each.job_id], reason))
                claimed = [each for each in claimed if each.job_id not in without]
        return [(each, each.edited(jobs[each.job_id])) for each in claimed]

    def _hold_until(self, moment: datetime) -> bool:
        """Wait until ``moment``, or return False if the worker is stopped before."""
        ahead = moment - clock.now()
        if ahead > LONGEST_HOLD:
            raise TooEarly(f"{moment} is {ahead} away")
        return not self._stop.wait(max(ahead.total_seconds(), 0))

    def _wait_for_recorder(self) -> None:
        if not self._recorder.wait_for_room(ROOM_TIMEOUT_SECONDS):
            raise Unavailable("The database takes no outcomes; nothing new is started.")

    def _give_back(self, identifiers: Sequence[UUID]) -> None:
        """Leave executions that this stopping worker has not claimed to another worker."""
        with transaction(self._engine) as connection:
            undispatched.undo_dispatch(connection, identifiers)

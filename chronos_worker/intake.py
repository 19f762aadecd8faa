"""Intake: from a message of execution ids to requests in the transfer engine.

1. Load the jobs of the ids, those that have changed since they were loaded last.
2. Hold until just before the batch's instant.
3. Claim; what was paused, cancelled or already taken is not returned.
4. Prepare the requests and hand them to the engine, which starts each at its own instant.

Then the message is acknowledged: from here on the row in PostgreSQL, with this worker's
heartbeat, is the lease.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

import structlog
from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.domain import queues
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed
from chronos_common.errors import Invalid, Unavailable
from chronos_common.storage.executions import dispatch
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.postgres.database import transaction
from chronos_worker import hold
from chronos_worker.claim import Claimer
from chronos_worker.recorder import Finished, Recorder

_log = structlog.get_logger(__name__)

#: Surrounds a claim, which it may have wait, though not longer than until the event.
Turn = Callable[[Event], AbstractContextManager[object]]

#: Covers the claim's round trip, so that it does not delay the start.
CLAIM_AHEAD = timedelta(milliseconds=30)

#: The longest wait for the recorder to catch up before a batch is left to rescue.
ROOM_TIMEOUT_SECONDS = 10.0


class Intake:
    """Takes messages; used by many threads at once."""

    def __init__(
        self,
        engine: Engine,
        claimer: Claimer,
        recorder: Recorder,
        *,
        queue: str,
        begin: Callable[[Sequence[tuple[Claimed, JobSpec]]], None],
        turn: Turn = nullcontext,
        stop: Event,
    ) -> None:
        """Take what to do with claimed executions (``begin``), and what ends the waiting.

        ``turn`` lets whoever performs them have the next claim wait.
        """
        self._engine = engine
        self._claimer = claimer
        self._recorder = recorder
        self._queue = queue
        self._begin = begin
        self._turn = turn
        self._stop = stop
        self._specs = Specs()

    def accept(self, identifiers: Sequence[UUID], fire_at: datetime) -> None:
        """Take the executions of one message; ``fire_at`` is the earliest one's instant."""
        with transaction(self._engine) as connection:
            specs = self._specs.of(connection, identifiers)
        if not hold.until(fire_at - CLAIM_AHEAD, stop=self._stop):
            self._give_back(identifiers)
            return
        if not self._recorder.wait_for_room(ROOM_TIMEOUT_SECONDS):
            raise Unavailable("The database takes no outcomes; nothing new is started.")
        with self._turn(self._stop):
            if self._stop.is_set():
                self._give_back(identifiers)
                return
            claimed = self._claimer.claim(identifiers, specs, queue=self._queue)
            self._begin([(each, specs[each.job_id]) for each in claimed])

    def _give_back(self, identifiers: Sequence[UUID]) -> None:
        """Let another worker have what this one, stopping, has not claimed."""
        with transaction(self._engine) as connection:
            dispatch.undo_dispatch(connection, identifiers)


def unusable(claimed: Claimed, job: JobSpec, error: Exception) -> Finished:
    """Return the failure of an execution whose stored payload cannot be performed."""
    reason = str(error)
    if not isinstance(error, Invalid):
        _log.error("payload not understood", execution_id=str(claimed.id), exc_info=error)
        reason = "the worker's log says why."
    return Finished(
        claimed=claimed,
        queue=queues.QUEUE_OF[job.type],
        policy=job.policy,
        outcome=Failed(f"The stored payload is invalid: {reason}", permanent=True),
        attempt=Attempt(started_at=clock.now(), duration_ms=0),
    )

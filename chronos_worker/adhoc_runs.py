"""Test runs: a payload executed once, at once, without a job.

They use the actions of executions, through a transfer engine with the same egress guard. Targets
can recognise them: requests and e-mails carry ``X-Chronos-Test``, Celery tasks ``chronos_test``.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from chronos_common import clock
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, NotAttempted, Outcome, Succeeded
from chronos_common.domain.payloads import TYPES
from chronos_common.domain.statuses import Status
from chronos_common.errors import Invalid
from chronos_common.settings import Settings
from chronos_common.storage import adhoc_runs
from chronos_common.storage.postgres.database import transaction
from chronos_worker import actions, exhaustion
from chronos_worker.actions import Tools
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.engine import TransferEngine
from chronos_worker.transfers.limiter import Limits
from chronos_worker.transfers.results import TransferResult

_log = structlog.get_logger(__name__)

#: Test runs are few, because a person waits for each one.
LIMITS = Limits(32, 8)

#: The longest wait of a run for earlier runs to the same host.
_LONGEST_WAIT_SECONDS = 2.5
#: Added to that wait and to the payload's timeout: the result may arrive so much later.
_MARGIN_SECONDS = 2.5


class AdhocRunner:
    """Executes test runs. Thread-safe."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._waiting: dict[UUID, Future[TransferResult]] = {}
        self._lock = Lock()
        self._transfers = TransferEngine(
            limits=LIMITS,
            guard=EgressGuard.of(settings),
            on_done=self._done,
            may_start=_is_in_time,
            now=clock.now,
        )
        permission = MailPermission(engine, settings)
        tools = Tools(
            settings, Mailer(settings), permission, transfer=self._transfer, is_test=True
        )
        self._actions = actions.build(tools, TYPES)

    def start(self) -> None:
        """Start the transfer engine."""
        self._transfers.start()

    def stop(self) -> None:
        """End transfers that are under way. Their runs end with an error."""
        self._transfers.stop()
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        for each in waiting:
            each.set_exception(RunAbandoned("The worker was stopped; try again."))

    def run(self, identifiers: Sequence[UUID], _: datetime) -> None:
        """Execute the runs of one message that have not expired."""
        for identifier in identifiers:
            with transaction(self._engine) as connection:
                spec = adhoc_runs.claim(connection, identifier, now=clock.now())
            if spec is not None:
                self._finish(identifier, *self._outcome(spec))

    def _outcome(self, spec: JobSpec) -> tuple[Outcome, Attempt]:
        now = clock.now()
        claimed = Claimed(
            id=spec.id,
            job_id=spec.id,
            workspace_id=spec.workspace_id,
            worker_id=spec.id,
            claimed_at=now,
            scheduled_for=now,
            due_at=now,
            attempt=1,
            redeliveries=0,
        )
        try:
            return self._actions[spec.type](claimed, spec)
        except Exception as error:  # noqa: BLE001 - poison fails its own run only
            reason = str(error)
            if lack := exhaustion.lack_behind(error):
                reason = f"the worker lacks something of its own ({lack}); try again."
            elif not isinstance(error, Invalid | RunAbandoned):
                _log.error("test run failed", test_run_id=str(spec.id), exc_info=error)
                reason = "the worker's log says why."
            text = f"It could not be performed: {reason}"
            return Failed(text, permanent=True), Attempt(started_at=now, duration_ms=0)

    def _finish(self, identifier: UUID, outcome: Outcome, attempt: Attempt) -> None:
        status = Status.SUCCEEDED if isinstance(outcome, Succeeded) else Status.FAILED
        error = outcome.error if isinstance(outcome, Failed | NotAttempted) else None
        try:
            self._store(identifier, status, _result(status, error, attempt))
        except DataError as fault:
            _log.warning("test run's result refused", error=str(fault.orig))
            plain = Attempt(started_at=attempt.started_at, duration_ms=attempt.duration_ms)
            text = "What came back cannot be stored: it holds characters that are none."
            self._store(identifier, Status.FAILED, _result(Status.FAILED, text, plain))

    def _store(self, identifier: UUID, status: Status, result: Mapping[str, Any]) -> None:
        with transaction(self._engine) as connection:
            adhoc_runs.finish(connection, identifier, status, result)

    def _transfer(self, request: TransferRequest) -> TransferResult:
        """Send a webhook, and wait for its result."""
        run_id = request.execution.id
        future: Future[TransferResult] = Future()
        with self._lock:
            self._waiting[run_id] = future
        try:
            self._transfers.submit([request])
            longest = _LONGEST_WAIT_SECONDS + request.job.timeout_seconds + _MARGIN_SECONDS
            return future.result(longest)
        except TimeoutError:
            text = "Other test runs keep this host busy; try again when they have ended."
            raise RunAbandoned(text) from None
        finally:
            self._transfers.cancel(run_id)
            with self._lock:
                self._waiting.pop(run_id, None)

    def _done(self, request: TransferRequest, result: TransferResult) -> None:
        with self._lock:
            future = self._waiting.pop(request.execution.id, None)
        if future:
            future.set_result(result)


def _is_in_time(request: TransferRequest) -> bool:
    """Return whether a run may still start, because its result would arrive in time."""
    return (clock.now() - request.due_at).total_seconds() < _LONGEST_WAIT_SECONDS


class RunAbandoned(Exception):
    """The worker gave a test run up. The message is for the person who waits for it."""


def _result(status: Status, error: str | None, attempt: Attempt) -> dict[str, Any]:
    return {
        "status": status,
        "error": error,
        "started_at": clock.rfc3339(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "request": attempt.request,
        "response": attempt.response,
        "timing_ms": attempt.timing_ms,
    }

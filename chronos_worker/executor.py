"""Executors: the parts that execute claimed executions.

``webhooks`` has the one for webhooks, which never block a thread. The one here runs blocking
actions, e-mails and Celery tasks, one after the other in the thread that claimed them.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any, Protocol

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.storage.executions import history
from chronos_common.storage.postgres.database import transaction
from chronos_worker.attempts import Action, Finished, not_attempted, unperformed
from chronos_worker.recorder import Recorder

_log = structlog.get_logger(__name__)


class Executor(Protocol):
    """Executes claimed executions and hands their outcomes to the recorder."""

    def room_for_batch(
        self, stop: Event, *, is_backlog: bool = False
    ) -> AbstractContextManager[object]:
        """Surround a claim, which may wait for room, but not longer than until ``stop``."""

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        """Begin to execute. The message of these executions is acknowledged on return."""


class BlockingExecutor:
    """Runs the action of each execution in the calling thread."""

    def __init__(self, actions: Mapping[str, Action], recorder: Recorder) -> None:
        self._actions = actions
        self._recorder = recorder

    def room_for_batch(
        self,
        stop: Event,  # noqa: ARG002 - the protocol
        *,
        is_backlog: bool = False,  # noqa: ARG002 - the protocol
    ) -> AbstractContextManager[object]:
        """Never wait: the number of threads bounds how much is claimed."""
        return nullcontext()

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        """Run each execution's action."""
        for execution, job in claimed:
            self._recorder.put(self._run(execution, job))

    def _run(self, execution: Claimed, job: JobSpec) -> Finished:
        # The claim comes a little before the instant, at most by the scheduler's lookahead.
        time.sleep(max((execution.due_at - clock.now()).total_seconds(), 0))
        try:
            outcome, attempt = self._actions[job.type](execution, job)
        except SQLAlchemyError:
            _log.warning("earlier attempts not read", exc_info=True)
            return not_attempted(execution, job, "the earlier attempts of the execution")
        except Exception as error:  # noqa: BLE001 - poison fails its own execution only
            return unperformed(execution, job, error)
        return Finished(execution, QUEUE_OF[job.type], job.policy, outcome, attempt, job.version)


def earlier_attempts(engine: Engine, execution: Claimed) -> Sequence[Mapping[str, Any]]:
    """Return the history of an execution's earlier attempts."""
    if execution.attempt == 1:
        return ()
    with transaction(engine) as connection:
        return history.attempts(connection, execution.id)

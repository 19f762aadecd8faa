"""Blocking actions: e-mails and Celery tasks, one execution at a time in a thread of Celery's."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.statuses import JobType
from chronos_common.storage.executions import history
from chronos_common.storage.postgres.database import transaction
from chronos_worker.intake import unusable
from chronos_worker.recorder import Finished, Recorder

_log = structlog.get_logger(__name__)

#: What an action does with an execution; it bounds its own time and returns every failure.
Action = Callable[[Claimed, JobSpec], tuple[Outcome, Attempt]]


class BlockingExecutor:
    """Performs claimed executions and hands their outcomes to the recorder."""

    def __init__(self, actions: Mapping[JobType, Action], recorder: Recorder) -> None:
        """Take the actions by the type of job that they are for."""
        self._actions = actions
        self._recorder = recorder

    def begin(self, claimed: Sequence[tuple[Claimed, JobSpec]]) -> None:
        """Perform each execution."""
        for execution, job in claimed:
            self._recorder.put(self._perform(execution, job))

    def _perform(self, execution: Claimed, job: JobSpec) -> Finished:
        # The claim comes a little before the instant; it is at most the scheduler's lookahead.
        time.sleep(max((execution.due_at - clock.now()).total_seconds(), 0))
        try:
            outcome, attempt = self._actions[job.type](execution, job)
        except SQLAlchemyError:
            _log.warning("earlier attempts not read", exc_info=True)
            outcome = Failed("The database did not answer, so that nothing was sent.")
            attempt = Attempt(started_at=clock.now(), duration_ms=0)
        except Exception as error:  # noqa: BLE001 - poison fails its own execution only
            return unusable(execution, job, error)
        return Finished(execution, QUEUE_OF[job.type], job.policy, outcome, attempt)


def earlier_attempts(engine: Engine, execution: Claimed) -> Sequence[Mapping[str, Any]]:
    """Return what the history holds of an execution's attempts before this one."""
    if execution.attempt == 1:
        return ()
    with transaction(engine) as connection:
        return history.attempts(connection, execution.id)

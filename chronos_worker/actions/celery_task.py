"""The celery_task action: a message to the workers of the user's own Celery application."""

import time
from datetime import datetime

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from chronos_common import clock
from chronos_common.broker import SOCKET_OPTIONS
from chronos_common.domain import payloads
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import CeleryTask


class Publisher:
    """Publishes tasks to another application's broker; used by many threads at once."""

    def __init__(self, broker_url: str) -> None:
        """Take the broker that the application's workers listen to."""
        self._app = Celery("chronos-tasks", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            result_backend=None,
            broker_pool_acquire_timeout=5,
            broker_transport_options=dict(SOCKET_OPTIONS),
            task_publish_retry=False,
        )

    def publish(self, task: CeleryTask, task_id: str) -> None:
        """Put the task into its queue. Raises what the broker's client raises."""
        self._app.send_task(
            task.task,
            args=list(task.args),
            kwargs=dict(task.kwargs),
            queue=task.queue,
            task_id=task_id,
        )


def perform(execution: Claimed, job: JobSpec, *, publisher: Publisher) -> tuple[Outcome, Attempt]:
    """Publish the task; its id is the execution's, so that its workers can tell a repetition.

    Success means that the broker has the message. Raises
    :class:`chronos_common.errors.Invalid` if the stored payload cannot be sent.
    """
    task = payloads.parse(job.type, job.payload)
    assert isinstance(task, CeleryTask)
    started_at, started = clock.now(), time.monotonic()
    outcome: Outcome = Succeeded()
    try:
        publisher.publish(task, str(execution.id))
    except (OperationalError, RedisError, OSError) as error:
        outcome = Failed(f"The broker does not take the task: {error}")
    return outcome, _attempt(task, started_at, started)


def _attempt(task: CeleryTask, started_at: datetime, started: float) -> Attempt:
    return Attempt(
        started_at=started_at,
        duration_ms=round((time.monotonic() - started) * 1000),
        request={"task": task.task, "queue": task.queue},
    )

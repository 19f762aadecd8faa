"""The Celery action: hands a task to the user's own Celery application, through its broker."""

import time
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import LimitExceeded
from kombu.pools import ProducerPool

from chronos_common import clock
from chronos_common.broker import SOCKET_OPTIONS
from chronos_common.domain import payloads, queues
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import CeleryTask
from chronos_common.errors import ChronosError, Invalid

_WAIT_SECONDS: Final = 10
_CONNECTIONS: Final = 4
# More patience is the retry policy's, which holds no thread meanwhile.
_RECONNECT_ONCE: Final = {"max_retries": 1, "interval_start": 0.2}
# What Celery's transport and Chronos itself keep in Redis under names like those of queues.
_OWN_PREFIXES: Final = ("chronos", "unacked", "_kombu")


class NotPublished(ChronosError):
    """The user's broker did not take the task."""


class Publisher:
    """Publishes tasks to the user's broker; used by many threads at once."""

    def __init__(self, broker_url: str, *, is_shared: bool = True) -> None:
        """Take the broker; one that is shared with Chronos keeps the names that Chronos uses."""
        self._is_shared = is_shared
        self._app = Celery("chronos-tasks", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            result_backend=None,
            broker_connection_timeout=_WAIT_SECONDS,
            broker_transport_options=_transport_options(broker_url),
        )
        # The application's own pool would be limited together with those of all others in the
        # process, which fails while one of them is in use.
        self._connections = self._app.connection_for_write().Pool(limit=_CONNECTIONS)
        self._producers: Any = ProducerPool(  # type: ignore[no-untyped-call]
            self._connections, limit=_CONNECTIONS
        )

    def publish(self, task: CeleryTask, *, task_id: str, headers: dict[str, str]) -> None:
        """Put ``task`` into its queue. Raises :class:`NotPublished`, or :class:`Invalid`."""
        if self._is_shared and _is_own(task.queue):
            text = f"{task.queue!r} belongs to Chronos itself on this broker; use another name."
            raise Invalid({"payload.queue": [text]})
        try:
            with self._producers.acquire(block=True, timeout=_WAIT_SECONDS) as producer:
                self._app.send_task(
                    task.task,
                    args=list(task.args),
                    kwargs=dict(task.kwargs),
                    queue=task.queue,
                    task_id=task_id,
                    headers=headers,
                    producer=producer,
                    serializer="json",
                    retry=False,
                )
        except LimitExceeded:
            text = f"All {_CONNECTIONS} connections to the broker were busy for {_WAIT_SECONDS} s."
            raise NotPublished(text) from None
        except Exception as error:
            # Each kind of broker has errors of its own, with no class in common.
            raise NotPublished(f"The broker did not take the task: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._connections.force_close_all()
        self._app.close()


def _transport_options(broker_url: str) -> dict[str, Any]:
    """Bound every wait; each kind of broker has its own words for that."""
    scheme = urlsplit(broker_url).scheme
    if scheme in {"redis", "rediss"}:
        return {**_RECONNECT_ONCE, **SOCKET_OPTIONS}
    if scheme in {"amqp", "amqps", "pyamqp"}:
        return {
            **_RECONNECT_ONCE,
            "read_timeout": _WAIT_SECONDS,
            "write_timeout": _WAIT_SECONDS,
            "confirm_publish": True,
        }
    return {}


def _is_own(queue: str) -> bool:
    return queue in queues.EVERY or ":" in queue or queue.startswith(_OWN_PREFIXES)


def perform(execution: Claimed, job: JobSpec, *, publisher: Publisher) -> tuple[Outcome, Attempt]:
    """Publish the job's task; its id is the execution's, on every attempt.

    Success means that the broker has the task, not that somebody has performed it. Raises
    :class:`Invalid` if the stored payload cannot be published.
    """
    task = payloads.parse(job.type, job.payload)
    if not isinstance(task, CeleryTask):
        raise Invalid({"type": ["Must be celery_task."]})
    started_at, started = clock.now(), time.monotonic()
    task_id = str(execution.id)
    headers = {
        "chronos_job_id": str(job.id),
        "chronos_scheduled_for": clock.rfc3339(execution.scheduled_for),
        "chronos_attempt": str(execution.attempt),
    }
    try:
        publisher.publish(task, task_id=task_id, headers=headers)
    except NotPublished as error:
        outcome: Outcome = Failed(str(error))
    else:
        outcome = Succeeded()
    return outcome, Attempt(
        started_at=started_at,
        duration_ms=round((time.monotonic() - started) * 1000),
        request={"task": task.task, "queue": task.queue, "task_id": task_id},
    )

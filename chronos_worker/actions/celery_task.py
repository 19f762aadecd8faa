"""The Celery action: hands a task to the user's own Celery application, through its broker."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.pools import ProducerPool

from chronos_common import clock
from chronos_common.broker import SOCKET_OPTIONS
from chronos_common.domain import payloads
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import CeleryTask
from chronos_common.domain.promises import PROMISES
from chronos_common.domain.queues import own_queue, reserved_queue
from chronos_common.domain.statuses import JobType
from chronos_common.errors import ChronosError, Invalid
from chronos_worker.attempts import Deadline
from chronos_worker.emails import replies

_WAIT_SECONDS: Final = 10
_CONNECTIONS: Final = 4
# More patience is the retry policy's, which holds no thread meanwhile.
_RECONNECT_ONCE: Final = {"max_retries": 1, "interval_start": 0.2}

#: What the history says of an attempt that succeeded.
_PUBLISHED: Final = {"note": f"Succeeded: {PROMISES[JobType.CELERY_TASK]}."}


class NotPublished(ChronosError):
    """The user's broker did not take the task."""


class TaskPublisher:
    """Publishes tasks to the user's broker; used by many threads at once.

    No client of a broker knows a deadline for all that it does. So threads publish that nobody
    has to wait for, as many as there are connections. In them no task of Celery's runs, which
    would become the parent of the user's task.
    """

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
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="publish")

    def publish(
        self, task: CeleryTask, *, task_id: str, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        """Put ``task`` into its queue before the deadline.

        Raises :class:`NotPublished`, or :class:`Invalid`.
        """
        self._check(task.queue)
        published = self._threads.submit(self._publish, task, task_id, headers, deadline)
        try:
            published.result(timeout=deadline.left())
        except TimeoutError as error:
            if published.cancel():
                text = f"All {_CONNECTIONS} connections to the broker were busy"
            else:
                text = "The broker did not confirm that it has the task, and may have it"
            raise NotPublished(f"{text}; time ran out after {deadline.seconds:g} s.") from error
        except Exception as error:
            # Each kind of broker has errors of its own, with no class in common.
            raise NotPublished(
                f"The broker did not confirm that it has the task: {_words(error)}"
            ) from error

    def _check(self, queue: str) -> None:
        reason = reserved_queue(queue) or (own_queue(queue) if self._is_shared else None)
        if reason:
            raise Invalid({"payload.queue": [reason]})

    def _publish(
        self, task: CeleryTask, task_id: str, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        with self._producers.acquire(block=True, timeout=deadline.left()) as producer:
            self._app.send_task(
                task.task,
                args=list(task.args),
                kwargs=dict(task.kwargs),
                queue=task.queue,
                task_id=task_id,
                root_id=task_id,
                headers=dict(headers),
                producer=producer,
                serializer="json",
                retry=False,
            )

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connections.force_close_all()
        self._app.close()


def _words(error: Exception) -> str:
    """Return what an error says; kombu wraps those of the clients, AMQP's begin with numbers."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return replies.clean(str(getattr(cause, "message", ""))) or replies.of_error(cause)


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


def perform(
    execution: Claimed, job: JobSpec, *, publisher: TaskPublisher
) -> tuple[Outcome, Attempt]:
    """Publish the job's task; its id is the execution's, on every attempt.

    Success means that the broker has the task, not that somebody has performed it. Raises
    :class:`Invalid` if the stored payload cannot be published.
    """
    deadline = Deadline(job.timeout_seconds)
    task = payloads.parse(job.type, job.payload)
    if not isinstance(task, CeleryTask):
        raise Invalid({"type": ["Must be celery_task."]})
    started_at = clock.now()
    task_id = str(execution.id)
    headers = {
        "chronos_job_id": str(job.id),
        "chronos_scheduled_for": clock.rfc3339(execution.scheduled_for),
        "chronos_attempt": str(execution.attempt),
    }
    try:
        publisher.publish(task, task_id=task_id, headers=headers, deadline=deadline)
    except NotPublished as error:
        outcome: Outcome = Failed(str(error))
    else:
        outcome = Succeeded()
    return outcome, Attempt(
        started_at=started_at,
        duration_ms=round(deadline.spent() * 1000),
        request={"task": task.task, "queue": task.queue, "task_id": task_id},
        response=_PUBLISHED if isinstance(outcome, Succeeded) else None,
    )

"""The Celery action: publish a task to the broker of the user's own Celery application."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.pools import ProducerPool

from chronos_common import clock
from chronos_common.broker import SOCKET_OPTIONS
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Outcome, Succeeded
from chronos_common.domain.payloads import CELERY_TASK, CeleryTask
from chronos_common.domain.payloads.celery_task import TaskRules, reserved_queue
from chronos_common.errors import ChronosError, Invalid
from chronos_worker import exhaustion
from chronos_worker.actions import Tools
from chronos_worker.attempts import Action, Deadline
from chronos_worker.emails import replies
from chronos_worker.exhaustion import Exhausted

#: The timeout of each wait for the broker.
_WAIT_SECONDS: Final = 10
_CONNECTIONS: Final = 4
#: Further attempts are up to the retry policy, which holds no thread while it waits.
_RECONNECT_ONCE: Final = {"max_retries": 1, "interval_start": 0.2}

#: The response in the history of an attempt that succeeded.
_PUBLISHED: Final = {"note": f"Succeeded: {CELERY_TASK.promise}."}


class NotPublished(ChronosError):
    """The user's broker did not confirm the task."""


class TaskPublisher:
    """Publishes tasks to the user's broker. Thread-safe.

    No client of a broker supports one deadline for all its steps. So publishing has threads of
    its own, one per connection, which the caller can abandon. No Celery task runs in them: it
    would become the parent of the user's task.

    A task is not published while ``longest_queue`` tasks wait in its queue. Publishers side by
    side may pass that by one task each.
    """

    def __init__(self, broker_url: str, *, rules: TaskRules, longest_queue: int) -> None:
        self._rules = rules
        self._longest_queue = longest_queue
        self._app = Celery("chronos-tasks", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            result_backend=None,
            broker_connection_timeout=_WAIT_SECONDS,
            broker_transport_options=_transport_options(broker_url),
        )
        # The limit of the application's own pool would apply to all pools of the process, and
        # setting it fails while one of them is in use.
        self._connections = self._app.connection_for_write().Pool(limit=_CONNECTIONS)
        self._producers: Any = ProducerPool(  # type: ignore[no-untyped-call]
            self._connections, limit=_CONNECTIONS
        )
        self._threads = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="publish")

    def publish(
        self, task: CeleryTask, *, task_id: str, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        """Put ``task`` into its queue before the deadline.

        Raises :class:`NotPublished`, :class:`Exhausted` or :class:`Invalid`.
        """
        self._check(task)
        published = self._threads.submit(self._publish, task, task_id, headers, deadline)
        try:
            published.result(timeout=deadline.left())
        except TimeoutError as error:
            if published.cancel():
                text = f"All {_CONNECTIONS} connections to the broker were busy"
            else:
                text = "The broker did not confirm that it has the task, and may have it"
            raise NotPublished(f"{text}; time ran out after {deadline.seconds:g} s.") from error
        except NotPublished:
            raise
        except Exception as error:
            if lack := exhaustion.lack_behind(error):
                raise Exhausted(lack) from error
            # The errors of different brokers have no class in common.
            raise NotPublished(
                f"The broker did not confirm that it has the task: {_text(error)}"
            ) from error

    def _check(self, task: CeleryTask) -> None:
        self._rules.check(task)
        reason = reserved_queue(task.queue)
        if reason:
            raise Invalid({"payload.queue": [reason]})

    def _publish(
        self, task: CeleryTask, task_id: str, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        try:
            self._send(task, task_id, headers, deadline)
        except Exception as error:
            host = self._app.connection_for_write().hostname
            if lack := exhaustion.lack_behind(error, host=host):
                raise Exhausted(lack) from error
            raise

    def _send(
        self, task: CeleryTask, task_id: str, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        with self._producers.acquire(block=True, timeout=deadline.left()) as producer:
            waiting = self._waiting(producer.channel, task.queue)
            if waiting >= self._longest_queue:
                raise NotPublished(
                    f"{waiting:,} tasks wait in the queue {task.queue!r}, and Chronos adds none "
                    f"beyond {self._longest_queue:,}: start more workers for it."
                )
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

    def _waiting(self, channel: Any, name: str) -> int:
        """Return how many tasks wait in a queue, which is made as publishing would make it."""
        made = self._app.amqp.queues[name].queue_declare(channel=channel)
        return int(made.message_count)

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connections.force_close_all()
        self._app.close()


def _text(error: Exception) -> str:
    """Return the text of the error that kombu has wrapped, without the numbers of AMQP."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return replies.clean(str(getattr(cause, "message", ""))) or replies.of_error(cause)


def _transport_options(broker_url: str) -> dict[str, Any]:
    """Return the options that bound every wait, by the kind of broker."""
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


def build(tools: Tools) -> Action:
    """Return the action."""
    settings = tools.settings
    url = settings.tasks_broker_url
    publisher = TaskPublisher(
        url,
        rules=TaskRules(bool(url), settings.tasks_allowed, settings.tasks_queues),
        longest_queue=settings.tasks_queue_length,
    )
    return partial(perform, publisher=publisher, is_test=tools.is_test)


def perform(
    execution: Claimed, job: JobSpec, *, publisher: TaskPublisher, is_test: bool = False
) -> tuple[Outcome, Attempt]:
    """Publish the job's task. Its id is the execution's, on every attempt.

    Success means that the broker has the task, not that the task has run. Raises
    :class:`Invalid` if the stored payload cannot be published.
    """
    deadline = Deadline(job.timeout_seconds)
    task = CELERY_TASK.parse(job.payload)
    started_at = clock.now()
    task_id = str(execution.id)
    headers = {
        "chronos_job_id": str(job.id),
        "chronos_scheduled_for": clock.rfc3339(execution.stands_for),
        "chronos_attempt": str(execution.attempt),
    }
    if execution.extras and execution.extras.replay_of:
        headers["chronos_replay_of"] = str(execution.extras.replay_of)
    if is_test:
        headers["chronos_test"] = "true"
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

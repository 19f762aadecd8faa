"""Celery tasks: messages to the workers of a user's own Celery application."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from chronos_common.domain import redaction
from chronos_common.domain.payloads.fields import (
    ARRAY,
    OBJECT,
    PayloadField,
    String,
)
from chronos_common.domain.payloads.payload_type import PayloadType
from chronos_common.domain.texts import line_fault
from chronos_common.errors import Invalid

#: AMQP bounds names, in bytes.
MAX_NAME_BYTES: Final = 255
_SPACE: Final = re.compile(r"\s")

# kombu's Redis transport keeps unacknowledged messages, bindings and locks beside the queues, as
# hashes and sets. A list of such a name ends every worker of the broker. Broadcasts go to
# "/0.name". Remote control, events, delayed delivery and results have queues and keys of their
# own. RabbitMQ reserves "amq.", and RedBeat keeps its schedule under "redbeat:".
_RESERVED: Final = re.compile(
    r"unacked.*|_kombu.*|/.*|amq\..*"
    r"|(?:.*\.)?pidbox|celeryev(?:\..*)?|(?:.*_)?celery_delayed_.*"
    r"|celery-task-meta-.*|celery-taskset-meta-.*|chord-unlock-.*"
    r"|chronos:.*|LIMITS:.*|redbeat:.*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class CeleryTask:
    """A message to a Celery application's own workers."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "celery"


def reserved_queue(name: str) -> str | None:
    """Return why no task may go to the queue ``name`` of any broker, or None."""
    if not _RESERVED.fullmatch(name):
        return None
    return (
        f"Under names like {name!r} Celery, its broker, RedBeat or Chronos keep their own data; "
        "use another name."
    )


@dataclass(frozen=True, slots=True)
class TaskRules:
    """The tasks that this installation publishes: patterns of their names and their queues.

    There are none without a broker.
    """

    has_broker: bool
    names: Sequence[str]
    queues: Sequence[str]

    def check(self, task: CeleryTask) -> None:
        """Raise :class:`Invalid` if the task is not among them."""
        if not self.has_broker:
            raise Invalid({"type": [_NO_BROKER]})
        faults = {
            f"payload.{name}": [_not_allowed(value, setting)]
            for name, value, patterns, setting in (
                ("task", task.task, self.names, "CHRONOS_TASKS_ALLOWED"),
                ("queue", task.queue, self.queues, "CHRONOS_TASKS_QUEUES"),
            )
            if not any(fnmatchcase(value, pattern) for pattern in patterns)
        }
        if faults:
            raise Invalid(faults)


_NO_BROKER: Final = (
    "This installation starts no Celery tasks. Its operator can name a broker in "
    "CHRONOS_TASKS_BROKER_URL, and tasks in CHRONOS_TASKS_ALLOWED."
)


def _not_allowed(value: str, setting: str) -> str:
    return (
        f"{value!r} is not allowed here; use another one, or ask the operator to add it to "
        f"{setting}."
    )


class CeleryName(String):
    """A name of a task."""

    def fault(self, value: str) -> str | None:
        """Return why a text is no name, or None."""
        fault = line_fault(value) if value else "Must not be empty."
        if fault is None and _SPACE.search(value):
            fault = "Must not contain white space."
        if fault is None and len(value.encode()) > MAX_NAME_BYTES:
            fault = f"At most {MAX_NAME_BYTES} bytes in UTF-8."
        return fault


class CeleryQueue(CeleryName):
    """A name of a queue."""

    def fault(self, value: str) -> str | None:
        """Return why a text is no name of a queue, or None."""
        return super().fault(value) or reserved_queue(value)


CELERY_TASK: Final = PayloadType(
    "celery_task",
    queue="tasks",
    description="A task of your own Celery application",
    promise="the broker has the task; Chronos does not see whether a worker performs it, nor how "
    "that ends",
    is_handed_on=True,
    build=CeleryTask,
    fields=[
        PayloadField("task", CeleryName(1), required=True, examples=["reports.tasks.build"]),
        PayloadField("args", ARRAY, redact=redaction.json_value),
        PayloadField("kwargs", OBJECT, redact=redaction.json_value),
        PayloadField("queue", CeleryQueue()),
    ],
)

"""Celery tasks: messages to the workers of a user's own Celery application."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chronos_common.domain.payloads.reader import Reader
from chronos_common.domain.queues import reserved_queue
from chronos_common.domain.texts import line_fault

#: AMQP bounds names, in bytes.
MAX_NAME_BYTES: Final = 255
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class CeleryTask:
    """A message to a Celery application's own workers."""

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "celery"


def parse(reader: Reader) -> CeleryTask:
    """Return the task; what is wrong is noted in ``reader``."""
    task = reader.text("task", required=True)
    _check_name(reader, "task", task)
    queue = reader.text("queue", "celery")
    _check_name(reader, "queue", queue)
    reason = reserved_queue(queue)
    if reason:
        reader.wrong("queue", reason)
    return CeleryTask(
        task=task,
        args=reader.take("args", list, []),
        kwargs=reader.take("kwargs", dict, {}),
        queue=queue,
    )


def _check_name(reader: Reader, field_name: str, value: str) -> None:
    if reader.is_wrong(field_name):
        return
    fault = line_fault(value)
    if not value:
        fault = "Must not be empty."
    elif fault is None and _SPACE.search(value):
        fault = "Must not contain white space."
    elif fault is None and len(value.encode()) > MAX_NAME_BYTES:
        fault = f"At most {MAX_NAME_BYTES} bytes in UTF-8."
    if fault:
        reader.wrong(field_name, fault)

"""The queues of Chronos, one for each kind of work, so that none waits behind another."""

from typing import Final

from chronos_common.domain.payloads import CELERY_TASK, EMAIL, TYPES, WEBHOOK

WEBHOOKS: Final = WEBHOOK.queue
EMAILS: Final = EMAIL.queue
TASKS: Final = CELERY_TASK.queue
NOTIFICATIONS: Final = "notifications"

#: Test runs, whose caller waits for the result. They are not stored in PostgreSQL.
TESTS: Final = "tests"

#: The queues whose work is stored in PostgreSQL.
DURABLE: Final = (*(each.queue for each in TYPES.values()), NOTIFICATIONS)

ALL: Final = (*DURABLE, TESTS)


class _QueueOf(dict[str, str]):
    """The queue of each type of job."""

    def __missing__(self, _job_type: str) -> str:
        # Another release stored it. Every worker takes this queue, and fails it with its reason.
        return WEBHOOKS


QUEUE_OF: Final = _QueueOf({name: each.queue for name, each in TYPES.items()})

#: What ``succeeded`` promises, by queue, for executions whose work goes on elsewhere.
HANDED_ON: Final = {each.queue: each.promise for each in TYPES.values() if each.is_handed_on}


def own_queue(name: str) -> str | None:
    """Return why no task may go to the queue ``name`` of Chronos's own broker, or None."""
    if name in ALL or ":" in name or name.startswith("chronos"):
        return f"{name!r} belongs to Chronos itself on this broker; use another name."
    return None

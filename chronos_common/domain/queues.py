"""The queues of Chronos, one for each kind of work, so that none waits behind another.

Users name queues of their own Celery applications. Here are the names that those must not have.
"""

import re
from typing import Final

from chronos_common.domain.jobs import JobType

WEBHOOKS = "webhooks"
EMAILS = "emails"
TASKS = "tasks"
NOTIFICATIONS = "notifications"

#: Test runs, whose caller waits for the result. They are not stored in PostgreSQL.
TESTS = "tests"

#: The queues whose work is stored in PostgreSQL.
DURABLE = (WEBHOOKS, EMAILS, NOTIFICATIONS, TASKS)

ALL = (*DURABLE, TESTS)

QUEUE_OF = {
    JobType.WEBHOOK: WEBHOOKS,
    JobType.EMAIL: EMAILS,
    JobType.CELERY_TASK: TASKS,
}

# kombu's Redis transport keeps unacknowledged messages, bindings and locks as hashes and sets
# beside the queues. A list of such a name ends every worker of the broker. Broadcasts go to
# "/0.name". Remote control, events, delayed delivery and results have queues and keys of their
# own. RabbitMQ reserves "amq.", and RedBeat keeps its schedule under "redbeat:".
_RESERVED: Final = re.compile(
    r"unacked.*|_kombu.*|/.*|amq\..*"
    r"|(?:.*\.)?pidbox|celeryev(?:\..*)?|(?:.*_)?celery_delayed_.*"
    r"|celery-task-meta-.*|celery-taskset-meta-.*|chord-unlock-.*"
    r"|chronos:.*|LIMITS:.*|redbeat:.*",
    re.DOTALL,
)


def reserved_queue(name: str) -> str | None:
    """Return why no task may go to the queue ``name`` of any broker, or None."""
    if not _RESERVED.fullmatch(name):
        return None
    return (
        f"Under names like {name!r} Celery, its broker, RedBeat or Chronos keep their own data; "
        "use another name."
    )


def own_queue(name: str) -> str | None:
    """Return why no task may go to the queue ``name`` of Chronos's own broker, or None."""
    if name in ALL or ":" in name or name.startswith("chronos"):
        return f"{name!r} belongs to Chronos itself on this broker; use another name."
    return None

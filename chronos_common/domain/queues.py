"""The queues of Chronos, one for each kind of work, so that none waits behind another.

A queue of executions has a second list of messages, its backlog. Its first list takes a share of
each workspace, and the backlog takes the rest. Workers take messages from both in turn, so that an
execution never waits behind all those of another workspace.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from chronos_common.domain.payloads import TYPES, WEBHOOK

WEBHOOKS: Final = WEBHOOK.queue
NOTIFICATIONS: Final = "notifications"

#: Test runs, whose caller waits for the result. They are not stored in PostgreSQL.
TESTS: Final = "tests"

#: The queues whose work is stored in PostgreSQL.
DURABLE: Final = (*(each.queue for each in TYPES.values()), NOTIFICATIONS)

ALL: Final = (*DURABLE, TESTS)

#: The backlog of each queue of executions.
BACKLOG_OF: Final = {each.queue: f"{each.queue}_backlog" for each in TYPES.values()}

#: The lists of messages whose work is stored in PostgreSQL.
DURABLE_LISTS: Final = (*DURABLE, *BACKLOG_OF.values())


def lists_of(queue: str) -> tuple[str, ...]:
    """Return the lists that hold the messages of ``queue``."""
    return (queue, BACKLOG_OF[queue]) if queue in BACKLOG_OF else (queue,)


class _QueueOf(dict[str, str]):
    """The queue of each type of job."""

    def __missing__(self, _action_type: str) -> str:
        # Another release stored it. Every worker takes this queue, and fails it with its reason.
        return WEBHOOKS


QUEUE_OF: Final = _QueueOf({name: each.queue for name, each in TYPES.items()})

#: What ``succeeded`` promises, by queue, for executions whose work goes on elsewhere.
HANDED_ON: Final = {each.queue: each.promise for each in TYPES.values() if each.is_handed_on}


#: The largest share of a workspace in the first list, between two readings of the lists. An
#: execution of the other queues occupies a thread of a worker.
WEBHOOK_SHARE: Final = 250
BLOCKING_SHARE: Final = 16

#: The age of the first list's oldest message at which shares are smallest.
LONGEST_WAIT: Final = timedelta(seconds=1)


class Shares:
    """Decides which executions go into the first list of their queue, and which into its backlog.

    The longer messages wait in the first list, the smaller is everybody's share. So the wait stays
    below :data:`LONGEST_WAIT`, however many workspaces are busy and however slow the workers are.
    """

    def __init__(self) -> None:
        self._shares: dict[str, int] = {}
        self._used: dict[tuple[str, UUID], int] = {}
        self.renew({})

    def renew(self, waits: Mapping[str, timedelta]) -> None:
        """Begin anew. ``waits`` are the ages of the oldest messages, by list."""
        self._used = {}
        self._shares = {queue: _share(queue, waits.get(queue)) for queue in BACKLOG_OF}

    def of(self, queue: str) -> int:
        """Return the share of each workspace in the first list of ``queue``."""
        return self._shares[queue]

    def take(self, queue: str, workspace_id: UUID) -> bool:
        """Count an execution, and return whether it is within its workspace's share."""
        key = queue, workspace_id
        self._used[key] = used = self._used.get(key, 0) + 1
        return used <= self._shares[queue]


def _share(queue: str, wait: timedelta | None) -> int:
    largest = WEBHOOK_SHARE if queue == WEBHOOKS else BLOCKING_SHARE
    free = 1 - (wait or timedelta(0)) / LONGEST_WAIT
    return max(int(largest * min(free, 1.0)), 1)

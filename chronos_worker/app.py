"""The Celery application of the worker: its settings and its tasks. Celery stops here."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_shutting_down

from chronos_common.broker import TASK_OF, celery_app

#: Far more than a scheduler puts into a message.
MAX_IDS = 10_000


#: What the ids of a queue's messages are handed to, with the instant that they are meant for.
Task = Callable[[Sequence[UUID], datetime], None]


def build(redis_url: str, tasks: Mapping[str, Task]) -> Celery:
    """Return the application with a task for the messages of each queue."""
    app = celery_app(redis_url)
    app.conf.update(
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        worker_send_task_events=False,
    )
    for queue, task in tasks.items():
        app.task(_parsing(task), name=TASK_OF[queue])
    return app


def _parsing(task: Task) -> Callable[[Sequence[object], object], None]:
    """Check what came over the wire: whoever can write to Redis can write anything."""

    def run(identifiers: Sequence[object], fire_at_ms: object) -> None:
        if len(identifiers) > MAX_IDS or not isinstance(fire_at_ms, int):
            raise ValueError("not a message of our scheduler")
        fire_at = datetime.fromtimestamp(fire_at_ms / 1000, UTC)
        task([UUID(str(each)) for each in identifiers], fire_at)

    return run


def run(app: Celery, *, name: str, threads: int, on_stop: Callable[[], None]) -> None:
    """Consume messages in ``threads`` threads until SIGTERM or SIGINT.

    ``on_stop`` is called when the signal comes, before the tasks under way are waited for.
    """

    def shutting_down(**_: object) -> None:
        on_stop()

    # Celery warns of root because pickled messages could run anything; ours are JSON only.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker_shutting_down.connect(shutting_down, weak=False)
    try:
        app.Worker(
            hostname=name,
            pool="threads",
            concurrency=threads,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        ).start()
    finally:
        worker_shutting_down.disconnect(shutting_down)

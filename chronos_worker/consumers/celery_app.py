"""The Celery applications of the worker, one for each queue. Celery stops here.

Each queue has its own consumer and threads. So work that blocks in one queue, as on a mail server
that hangs, does not delay the messages of the others.
"""

import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from celery.apps import worker as celery_worker
from celery.platforms import EX_FAILURE, SecurityWarning
from celery.signals import setup_logging, worker_shutting_down
from celery.worker import WorkController, state

from chronos_common import ids, logs
from chronos_common.broker import TASK_OF, celery_app
from chronos_common.process.startup import STOP_SIGNALS
from chronos_worker.consumers import celery_transport
from chronos_worker.consumers.celery_transport import StopSignal

_log = structlog.get_logger(__name__)

#: No message of a scheduler has more ids: the largest ``CHRONOS_DISPATCH_BATCH``.
MAX_IDS = 1000

#: Takes the ids of one message, and the instant for which the message is meant.
Task = Callable[[Sequence[UUID], datetime], None]

#: The application of each queue.
Consumers = Mapping[str, Celery]


def build(redis_url: str, tasks: Mapping[str, Task]) -> Celery:
    """Return the application that hands the messages of each list to its task.

    While messages wait in several lists, it takes them from each in turn.
    """
    app = celery_app(redis_url, list(tasks))
    app.amqp_cls = celery_transport.AMQP
    app.conf.update(
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        worker_send_task_events=False,
    )
    # Shared with the other applications of this process: Celery's tracer knows the tasks of one.
    for name, task in tasks.items():
        app.task(_parsing(task), name=TASK_OF[name])
    return app


def _parsing(task: Task) -> Callable[[object, object], None]:
    """Return ``task`` behind a check of the message: anyone with access to Redis can write one."""

    def run(packed: object, fire_at_ms: object) -> None:
        if not isinstance(packed, str) or not isinstance(fire_at_ms, int):
            raise TypeError("not a message of our scheduler")
        if len(packed) > MAX_IDS * ids.PACKED_LENGTH:
            raise ValueError("too many executions for a message of our scheduler")
        task(ids.unpack(packed), datetime.fromtimestamp(fire_at_ms / 1000, UTC))

    return run


def run(
    apps: Consumers,
    *,
    name: str,
    threads: Mapping[str, int],
    grace_seconds: float,
    on_stop: Callable[[], None],
) -> int:
    """Consume messages until SIGTERM or SIGINT and return the exit code of the process.

    1. Each application's consumer runs in a thread. The first one uses the calling thread, where
       signals arrive.
    2. When a signal comes, ``on_stop`` is called, before any task that runs is waited for.
    3. The tasks of the first application end. Those of the others get at most ``grace_seconds``.

    A consumer that ends by itself ends them all, so that the process's supervisor starts it again.
    """
    _keep_log()
    stop_signal = StopSignal()
    for each in apps.values():
        stop_signal.listen(each)
    options = {queue: _options(app, queue, name, threads[queue]) for queue, app in apps.items()}
    (first, app), *rest = apps.items()
    worker = _MainWorker(app=app, **options[first], quiet=True)
    others = [_thread(other, queue, options[queue], stop_signal) for queue, other in rest]
    with _called_on_signal(on_stop, stop_signal.give):
        for other in others:
            other.start()
        worker.start()
        exit_code = int(worker.exitcode or 0)
        # The other consumers check this when their waits end.
        state.should_stop = exit_code
        stop_signal.give()
        _join(others, timeout=grace_seconds)
    return exit_code


def _thread(
    app: Celery, queue: str, options: Mapping[str, Any], stop_signal: StopSignal
) -> Thread:
    return Thread(
        target=_consume, args=(app, options, stop_signal), name=f"consume-{queue}", daemon=True
    )


def _join(threads: Sequence[Thread], *, timeout: float) -> None:
    deadline = monotonic() + timeout
    for thread in threads:
        thread.join(max(deadline - monotonic(), 0))


class _MainWorker(celery_worker.Worker):  # type: ignore[misc]
    """The worker of the main thread, which handles the signals."""

    def install_platform_tweaks(self, worker: WorkController) -> None:
        """Install the handlers, then let in the signals that came since the process began."""
        super().install_platform_tweaks(worker)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _keep_log() -> None:
    """Keep Celery from changing the log's level, adding handlers, or writing to the terminal."""
    # Celery warns of root because pickled messages could run anything. Ours are JSON only.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # A receiver of this signal makes Celery leave logging alone.
    setup_logging.connect(_configure_nothing)
    # The function that reports a signal.
    celery_worker.safe_say = _say


def _configure_nothing(**_: object) -> None:
    """Do nothing: ``logs.configure`` has configured logging."""


def _say(message: str, _file: object = None) -> None:
    logs.say_in_signal_handler(str(message).removeprefix("worker: "))


def _options(app: Celery, queue: str, name: str, threads: int) -> dict[str, Any]:
    return {
        "hostname": f"{queue}-{name}",
        "queues": [each.name for each in app.conf.task_queues],
        "pool": "threads",
        "concurrency": threads,
        "loglevel": "WARNING",
        "without_gossip": True,
        "without_mingle": True,
        "without_heartbeat": True,
    }


def _consume(app: Celery, options: Mapping[str, Any], stop_signal: StopSignal) -> None:
    """Consume in this thread, without Celery's event loop, which the first consumer uses."""
    try:
        WorkController(app=app, **options, use_eventloop=False).start()
    finally:
        if state.should_stop is None:
            _log.error("consumer ended", queues=options["queues"])
            state.should_stop = EX_FAILURE
            stop_signal.give()


@contextmanager
def _called_on_signal(*functions: Callable[[], None]) -> Iterator[None]:
    def shutting_down(**_: object) -> None:
        for each in functions:
            each()

    worker_shutting_down.connect(shutting_down, weak=False)
    try:
        yield
    finally:
        worker_shutting_down.disconnect(shutting_down)

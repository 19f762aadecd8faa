"""The worker process: its parts, wired together, from start to stop.

The stop, under load, loses and repeats nothing: consuming ends, held batches go back, transfers
that have not left go back, the others get their grace, what they brought is recorded.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from threading import Event

import structlog

from chronos_common.domain import queues
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.statuses import JobType
from chronos_common.heartbeat import Heartbeat
from chronos_common.loops import Loop, stop_all
from chronos_common.settings import Settings
from chronos_common.storage.database import connect
from chronos_worker import app
from chronos_worker.actions import celery_task, email
from chronos_worker.actions.celery_task import Publisher
from chronos_worker.claim import Claimer
from chronos_worker.intake import Intake
from chronos_worker.mail import Mailer
from chronos_worker.notices import Notices
from chronos_worker.performer import Performer
from chronos_worker.recorder import Recorder
from chronos_worker.webhooks import Webhooks

_log = structlog.get_logger(__name__)

#: Claims, records and heartbeats are short; more connections would only queue in PostgreSQL.
POOL_SIZE = 12

#: How long a stopping worker waits for the database to take its last outcomes.
FLUSH_SECONDS = 10.0


class Worker:
    """Performs executions. Any number of workers run side by side."""

    def __init__(self, settings: Settings) -> None:
        """Build the parts; nothing runs before :meth:`run`."""
        self._settings = settings
        self._stopping = Event()
        self._engine = connect(
            settings.database_url, name="chronos-worker", pool_size=POOL_SIZE, wait_seconds=10
        )
        self._heartbeat = Heartbeat(
            self._engine,
            kind="worker",
            timeout=timedelta(seconds=settings.worker_timeout_seconds),
            in_flight=lambda: self._webhooks.in_flight,
        )
        self._recorder = Recorder(self._engine)
        self._webhooks = Webhooks(self._engine, self._recorder, self._heartbeat, settings)
        self._claimer = Claimer(self._engine, self._heartbeat)
        self._watch = Loop("watch", self._webhooks.watch, idle_seconds=1)
        mailer = Mailer(settings)
        performer = Performer(
            {
                JobType.EMAIL: partial(email.perform, mailer=mailer),
                JobType.CELERY_TASK: partial(
                    celery_task.perform, publisher=Publisher(settings.tasks_broker_url)
                ),
            },
            self._recorder,
        )
        notices = Notices(self._engine, mailer, public_url=settings.public_url)
        self._celery = app.build(
            settings.redis_url,
            {
                queues.WEBHOOKS: self._intake(queues.WEBHOOKS, self._webhooks.begin),
                queues.EMAILS: self._intake(queues.EMAILS, performer.begin),
                queues.TASKS: self._intake(queues.TASKS, performer.begin),
                queues.NOTIFICATIONS: notices.send,
            },
        )

    def _intake(
        self, queue: str, begin: Callable[[Sequence[tuple[Claimed, JobSpec]]], None]
    ) -> app.Task:
        return Intake(
            self._engine,
            self._claimer,
            self._recorder,
            queue=queue,
            begin=begin,
            stop=self._stopping,
        ).accept

    def run(self) -> None:
        """Work until SIGTERM or SIGINT. Raises if the database does not answer at the start."""
        self._heartbeat.start()
        self._recorder.start()
        self._webhooks.start()
        self._watch.start()
        _log.info("worker started", worker=str(self._heartbeat.id))
        try:
            app.run(
                self._celery,
                name=f"chronos@{self._heartbeat.id}",
                threads=self._settings.worker_threads,
                on_stop=self._stopping.set,
            )
        finally:
            self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        stop_all([self._watch], timeout=5)
        self._webhooks.stop(self._settings.shutdown_grace_seconds)
        if not self._recorder.flush(FLUSH_SECONDS):
            _log.error("outcomes left to rescue", outcomes=self._recorder.backlog)
        self._recorder.stop()
        self._heartbeat.stop()
        self._engine.dispose()
        _log.info("worker stopped")

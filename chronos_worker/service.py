"""The worker process: its parts, wired together, from start to stop.

A stop under load loses and repeats nothing:

1. Consuming ends, and batches that are held go back to the queue.
2. Requests that have not left go back. Transfers that are under way get the grace period.
3. Their outcomes are recorded.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from threading import Event
from typing import Any

import structlog

from chronos_common import events
from chronos_common.broker import Broker, connect_redis
from chronos_common.domain import queues
from chronos_common.domain.payloads import TYPES, WEBHOOK
from chronos_common.process import health
from chronos_common.process.health import Progress, ProgressCheck
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.process.loops import Loop, stop_all
from chronos_common.settings import Settings
from chronos_common.storage import change_feed
from chronos_common.storage.postgres.database import connect
from chronos_worker import actions
from chronos_worker.adhoc_runs import AdhocRunner
from chronos_worker.channels.email import EmailChannel
from chronos_worker.claim import Claimer
from chronos_worker.consumers import celery_app, watchdog
from chronos_worker.consumers.celery_app import Consumers, Task
from chronos_worker.consumers.watchdog import Watchdog
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.emails.thread_shares import threads_of
from chronos_worker.executor import BlockingExecutor, Executor, earlier_attempts
from chronos_worker.intake import Intake
from chronos_worker.kept_answers import KeptAnswers
from chronos_worker.outbox.account_email_sender import AccountEmailSender
from chronos_worker.outbox.failure_email_sender import FailureEmailSender
from chronos_worker.outbox.sender import OutboxSender, send_each
from chronos_worker.recorder import Recorder
from chronos_worker.webhooks import Webhooks

_log = structlog.get_logger(__name__)

#: Claims, records and heartbeats are short. More connections would only queue in PostgreSQL.
POOL_SIZE = 12

#: How soon a request is released that this worker must not send any more.
WATCH_SECONDS = 1.0

#: Seconds between two tries to give back an unanswered claim: its commit may still be under way.
UNANSWERED_SECONDS = 3.0

#: Longest rest of a loop that others wake.
LONGEST_REST_SECONDS = 60.0

#: How long recorder and transfers may make no progress. PostgreSQL may be away for a moment.
SILENCE_SECONDS = 60.0

#: How long a stopping worker waits for the database to take its last outcomes.
FLUSH_SECONDS = 10.0


class Worker:
    """Executes dispatched executions. Any number of workers run side by side."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = Event()
        self._exit_code = 0
        self._engine = connect(
            settings.database_url, name="chronos-worker", pool_size=POOL_SIZE, wait_seconds=10
        )
        self._events = events.EventPublisher(connect_redis(settings.redis_url))
        change_feed.follow(self._engine, self._events.put)
        self._heartbeat = Heartbeat(
            self._engine,
            kind="worker",
            timeout=settings.worker_timeout,
            in_flight=lambda: self._webhooks.in_flight,
        )
        self._recorder = Recorder(
            self._engine,
            is_late=lambda: self._webhooks.is_late,
            answers=KeptAnswers(settings.kept_answer_bytes),
        )
        self._webhooks = Webhooks(
            self._engine,
            self._recorder,
            self._heartbeat,
            settings,
            on_begin=lambda: self._watch.hint(),  # noqa: PLW0108 - the loop follows
        )
        self._claimer = Claimer(
            self._engine,
            self._heartbeat,
            on_unanswered=lambda: self._unanswered.hint(),  # noqa: PLW0108 - the loop follows
        )
        self._watch, self._unanswered = self._build_watch(), self._build_unanswered()
        self._adhoc_runs = AdhocRunner(self._engine, settings)
        self._broker = Broker(settings.redis_url)
        tasks = self._tasks()
        self._watchdog = Watchdog(
            self._broker, threads=self._threads(tasks), lists=tasks, on_neglect=self._restart
        )
        self._consumers = self._build_consumers(tasks)
        self._loops = [
            self._watch,
            self._unanswered,
            Loop("watchdog", self._watchdog.tick, idle_seconds=watchdog.LOOK_SECONDS),
        ]
        self.progress = self._build_progress()

    def _build_watch(self) -> Loop:
        return Loop(
            "watch",
            self._webhooks.watch,
            idle_seconds=WATCH_SECONDS,
            quiet_seconds=LONGEST_REST_SECONDS,
            is_held_up=lambda: self._webhooks.is_any_left,
        )

    def _build_unanswered(self) -> Loop:
        return Loop(
            "unanswered",
            self._claimer.give_back_unanswered,
            idle_seconds=UNANSWERED_SECONDS,
            quiet_seconds=LONGEST_REST_SECONDS,
            is_held_up=lambda: self._claimer.has_unanswered,
        )

    def _build_consumers(self, tasks: Mapping[str, Mapping[str, Task]]) -> Consumers:
        return {
            queue: celery_app.build(
                self._settings.redis_url,
                {name: self._watchdog.watched(queue, task) for name, task in of_lists.items()},
            )
            for queue, of_lists in tasks.items()
        }

    def _tasks(self) -> Mapping[str, Mapping[str, Task]]:
        """Return the functions that take the messages of each consumer, by list."""
        mailer = Mailer(self._settings)
        history = partial(earlier_attempts, self._engine)
        built = actions.build(
            actions.Tools(self._settings, mailer, self._permission(), history),
            TYPES.keys() - {WEBHOOK.name},
        )
        blocking = BlockingExecutor(built, self._recorder)
        blocking_queues = [queues.QUEUE_OF[action_type] for action_type in built]
        channel, public_url = EmailChannel(mailer), self._settings.public_url
        permission = self._permission()
        outboxes: list[OutboxSender[Any]] = [
            FailureEmailSender(self._engine, channel, permission, public_url=public_url),
            AccountEmailSender(
                self._engine,
                channel,
                permission,
                public_url=public_url,
                has_pages=self._settings.dashboard,
            ),
        ]
        webhooks = self._intake(queues.WEBHOOKS, self._webhooks)
        return {
            # Messages of the backlog wait long for room. They must not take all the threads.
            **{name: {name: task} for name, task in webhooks.items()},
            **{queue: self._intake(queue, blocking) for queue in blocking_queues},
            queues.NOTIFICATIONS: {queues.NOTIFICATIONS: partial(send_each, outboxes)},
            queues.TESTS: {queues.TESTS: self._adhoc_runs.run},
        }

    def _permission(self) -> MailPermission:
        """Return the permission for a queue, whose threads workspaces share."""
        return MailPermission(self._engine, self._settings)

    def _intake(self, queue: str, executor: Executor) -> Mapping[str, Task]:
        intake = Intake(
            self._engine,
            self._claimer,
            self._recorder,
            executor,
            queue=queue,
            stop=self._stopping,
        )
        backlog = partial(intake.accept, is_backlog=True)
        return {queue: intake.accept, queues.BACKLOG_OF[queue]: backlog}

    def _build_progress(self) -> Progress:
        return Progress(
            [
                health.heartbeat_check(self._heartbeat),
                ProgressCheck("recorder", lambda: self._recorder.silent_seconds, SILENCE_SECONDS),
                ProgressCheck("transfers", lambda: self._webhooks.silent_seconds, SILENCE_SECONDS),
                *map(health.loop_check, self._loops),
            ]
        )

    def run(self) -> int:
        """Work until SIGTERM or SIGINT and return the exit code of the process.

        Raises if the database does not answer at the start.
        """
        self._heartbeat.start()
        self._recorder.start()
        self._webhooks.start()
        self._adhoc_runs.start()
        _log.info("worker started", worker=str(self._heartbeat.id))
        for loop in self._loops:
            loop.start()
        try:
            exit_code = celery_app.run(
                self._consumers,
                name=f"chronos@{self._heartbeat.id}",
                threads=self._threads(self._consumers),
                grace_seconds=self._settings.shutdown_grace_seconds,
                on_stop=self._stopping.set,
            )
            return self._exit_code or exit_code
        finally:
            self._stop()

    def _restart(self, _queue: str) -> None:
        """End this process, so that its supervisor starts it again."""
        if not self._stopping.is_set():
            self._exit_code = watchdog.EXIT_CODE
            watchdog.end_process(grace_seconds=self._settings.shutdown_grace_seconds + 30)

    def _threads(self, consumed: Iterable[str]) -> dict[str, int]:
        # A batch of webhooks keeps its thread only until its instant.
        webhooks = dict.fromkeys(queues.lists_of(queues.WEBHOOKS), self._settings.worker_threads)
        return dict.fromkeys(consumed, threads_of(self._settings)) | webhooks

    def _stop(self) -> None:
        self._stopping.set()
        self._adhoc_runs.stop()
        stop_all(self._loops, timeout=5)
        self._webhooks.stop(self._settings.shutdown_grace_seconds)
        if not self._recorder.flush(FLUSH_SECONDS):
            _log.error("outcomes left to rescue", outcomes=self._recorder.backlog)
        self._recorder.stop()
        self._heartbeat.stop()
        self._events.stop()
        self._broker.close()
        self._engine.dispose()
        _log.info("worker stopped")

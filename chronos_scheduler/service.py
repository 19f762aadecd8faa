"""The scheduler process: its parts, wired together, from start to stop."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from chronos_common import clock
from chronos_common.broker import Broker, connect_redis
from chronos_common.events import EventPublisher
from chronos_common.process import health
from chronos_common.process.health import Progress
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.process.loops import Loop, stop_all
from chronos_common.settings import Settings
from chronos_common.storage import change_feed
from chronos_common.storage.postgres.database import connect
from chronos_scheduler import dispatch
from chronos_scheduler.complete import Completer
from chronos_scheduler.deferred.replay import Replayer
from chronos_scheduler.deferred.resume import Resumer
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.listen import Listener
from chronos_scheduler.notify import Notifier
from chronos_scheduler.plan import Planner
from chronos_scheduler.prune import Expirer, Pruner, Purger
from chronos_scheduler.rescue import Rescuer
from chronos_scheduler.sweep import Sweeper
from chronos_scheduler.zone_rules import ZoneRules

_log = structlog.get_logger(__name__)

#: Executions that one tick of dispatch takes.
DISPATCH_TICK = 2000

#: Longest rest of plan and dispatch while notifications of changes arrive. One may still be lost,
#: and a new job be due soon.
HEARING_SECONDS = dispatch.LONGEST_REST.total_seconds()

#: Longest rest of plan without notifications, in lookaheads. It finds known instants in time.
PLAN_QUIET = 0.5

#: Longest rest of dispatch without notifications, in lookaheads. It finds known retries in time.
DISPATCH_QUIET = 0.8

#: Bound of both rests: the other executions that dispatch finds are late already.
LONGEST_QUIET_SECONDS = 1.5

#: A due row that another process has locked must not keep a loop busy.
SHORTEST_REST_SECONDS = 0.05

#: Seconds between two ticks of the loops that clear away. Nobody waits for them.
PRUNE_SECONDS = 3600
EXPIRE_SECONDS = 3600
PURGE_SECONDS = 60

# The rests of the loops below, in seconds (see ``Loop``): idle while there was work a moment ago,
# and quiet otherwise.

#: Ends of pauses come in time: the loop knows the next one.
RESUME_IDLE_SECONDS = 0.5
#: A replay hands out its executions in portions.
REPLAY_IDLE_SECONDS = 0.25
#: Longest rest of both without notifications.
DEFERRED_QUIET_SECONDS = 1

#: E-mails may be sent a little later.
NOTIFY_IDLE_SECONDS, NOTIFY_QUIET_SECONDS = 1, 5
#: Only the status of jobs that will not run again may be late.
COMPLETE_IDLE_SECONDS, COMPLETE_QUIET_SECONDS, COMPLETE_HEARING_SECONDS = 1, 10, 30
#: These add to the timeout after which a worker is lost.
RESCUE_IDLE_SECONDS, RESCUE_QUIET_SECONDS = 3, 5

#: Seconds between the first ticks of two loops, so that they share connections.
START_SECONDS = 0.05


class Scheduler:
    """Runs the loops, from :meth:`run` on. Any number of schedulers run side by side."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lookahead = timedelta(seconds=settings.lookahead_seconds)
        self._max_queued = timedelta(seconds=settings.max_queued_seconds)
        self._engine = connect(settings.database_url, name="chronos-scheduler", pool_size=8)
        self._broker = Broker(settings.redis_url)
        self._events = EventPublisher(connect_redis(settings.redis_url))
        change_feed.follow(self._engine, self._events.put)
        self._heartbeat = Heartbeat(
            self._engine, kind="scheduler", timeout=settings.worker_timeout
        )
        self._zone_rules = ZoneRules(self._engine, lookahead=self._lookahead)
        self._pruner = Pruner(self._engine, retention=timedelta(days=settings.retention_days))
        self._notifier = Notifier(self._engine, self._broker, max_queued=self._max_queued)
        self._listener = Listener(connect_redis(settings.redis_url), self._hint)
        sweep = Loop(
            "sweep",
            Sweeper(self._engine, are_mails_held_up=lambda: self._notifier.is_held_up).tick,
            idle_seconds=settings.sweep_interval_seconds,
        )
        dispatcher = self._build_dispatcher(on_failure=sweep.wake)
        self._followers = self._build_followers(dispatcher)
        self._loops = [
            Loop("prune", self._pruner.tick, idle_seconds=PRUNE_SECONDS),
            Loop("expire", self._build_expirer().tick, idle_seconds=EXPIRE_SECONDS),
            Loop("purge", Purger(self._engine).tick, idle_seconds=PURGE_SECONDS),
            *self._followers,
            sweep,
        ]
        loops = [health.loop_check(each) for each in self._loops]
        self.progress = Progress([health.heartbeat_check(self._heartbeat), *loops])

    def _build_expirer(self) -> Expirer:
        return Expirer(
            self._engine,
            retention=timedelta(days=self._settings.retention_days),
            audit_retention=timedelta(days=self._settings.audit_retention_days),
        )

    def _build_dispatcher(self, *, on_failure: Callable[[], None]) -> Dispatcher:
        return Dispatcher(
            self._engine,
            self._broker,
            lookahead=self._lookahead,
            batch=DISPATCH_TICK,
            message_size=self._settings.dispatch_batch,
            max_queued=self._max_queued,
            on_failure=on_failure,
        )

    def _build_followers(self, dispatcher: Dispatcher) -> Sequence[Loop]:
        """Return the loops that become alert when changes are announced."""
        return [
            *self._build_starting(dispatcher),
            *self._build_deferred(),
            *self._build_ending(dispatcher),
        ]

    def _build_starting(self, dispatcher: Dispatcher) -> Sequence[Loop]:
        """Return the loops that bring due executions to the workers."""
        planner = Planner(
            self._engine, dispatcher, lookahead=self._lookahead, batch=self._settings.plan_batch
        )
        # Plan looks ahead, so its rest delays nothing, while a trigger waits for dispatch's rest.
        return [
            Loop(
                "plan",
                planner.tick,
                idle_seconds=self._settings.lookahead_seconds / 10,
                quiet_seconds=lambda: self._rest_seconds(planner.next_due, PLAN_QUIET),
            ),
            Loop(
                "dispatch",
                dispatcher.tick,
                idle_seconds=SHORTEST_REST_SECONDS,
                quiet_seconds=lambda: self._rest_seconds(dispatcher.next_due, DISPATCH_QUIET),
                is_held_up=lambda: dispatcher.is_held_up,
            ),
        ]

    def _build_deferred(self) -> Sequence[Loop]:
        """Return the loops of wishes for later, which rest until the next one is due."""
        resumer, replayer = Resumer(self._engine, self._settings), Replayer(self._engine)

        def rest(due: datetime | None) -> float:
            longest = HEARING_SECONDS if self._listener.hears else DEFERRED_QUIET_SECONDS
            left = rest_seconds(due, lookahead=timedelta(), longest=longest, now=clock.now())
            return max(left, SHORTEST_REST_SECONDS)

        return [
            Loop(
                "resume",
                resumer.tick,
                idle_seconds=RESUME_IDLE_SECONDS,
                quiet_seconds=lambda: rest(resumer.next_due),
            ),
            Loop(
                "replay",
                replayer.tick,
                idle_seconds=REPLAY_IDLE_SECONDS,
                quiet_seconds=lambda: rest(replayer.next_due),
            ),
        ]

    def _build_ending(self, dispatcher: Dispatcher) -> Sequence[Loop]:
        """Return the loops that follow executions which ended, or whose worker was lost."""
        rescuer = Rescuer(
            self._engine,
            self._broker,
            dispatcher,
            worker_timeout=self._settings.worker_timeout,
            regular_seconds=lambda: self._heartbeat.regular_seconds,
        )
        return [
            Loop(
                "notify",
                self._notifier.tick,
                idle_seconds=NOTIFY_IDLE_SECONDS,
                quiet_seconds=NOTIFY_QUIET_SECONDS,
            ),
            Loop(
                "complete",
                Completer(self._engine).tick,
                idle_seconds=COMPLETE_IDLE_SECONDS,
                quiet_seconds=lambda: (
                    COMPLETE_HEARING_SECONDS if self._listener.hears else COMPLETE_QUIET_SECONDS
                ),
            ),
            Loop(
                "rescue",
                rescuer.tick,
                idle_seconds=RESCUE_IDLE_SECONDS,
                quiet_seconds=RESCUE_QUIET_SECONDS,
            ),
        ]

    def _hint(self) -> None:
        for loop in self._followers:
            loop.hint()

    def _rest_seconds(self, due: datetime | None, quiet: float) -> float:
        """Return for how long plan or dispatch may rest until ``due``.

        ``quiet`` bounds a rest without notifications, in lookaheads.
        """
        longest = min(self._settings.lookahead_seconds * quiet, LONGEST_QUIET_SECONDS)
        if self._listener.hears:
            longest = HEARING_SECONDS
        rest = rest_seconds(due, lookahead=self._lookahead, longest=longest, now=clock.now())
        return max(rest, SHORTEST_REST_SECONDS)

    def run(self, *, wait: Callable[[], object]) -> None:
        """Work until ``wait`` returns. Raises if the database does not answer at the start."""
        self._heartbeat.start()
        self._create_partitions()
        self._zone_rules.adopt()
        for place, loop in enumerate(self._loops):
            loop.start(after_seconds=place * START_SECONDS)
        self._listener.start()
        _log.info("scheduler started", worker=str(self._heartbeat.id))
        wait()
        self._listener.stop()
        late = stop_all(self._loops, timeout=5)
        self._heartbeat.stop()
        self._events.stop()
        self._broker.close()
        self._engine.dispose()
        _log.info("scheduler stopped", late_loops=late)

    def _create_partitions(self) -> None:
        """Create today's partition before its first rows, which would stay in the default one."""
        try:
            self._pruner.create_partitions()
        except SQLAlchemyError:
            _log.warning("partitions are missing; prune tries again", exc_info=True)


def rest_seconds(
    due: datetime | None, *, lookahead: timedelta, longest: float, now: datetime
) -> float:
    """Return the seconds until ``due`` comes within the lookahead, at most ``longest``."""
    if due is None:
        return longest
    return min(max((due - lookahead - now).total_seconds(), 0.0), longest)

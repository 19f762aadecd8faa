"""A cluster in one process: real storage, scheduler and worker code on a real database.

What the model decides about is not real: the time, Redis (a list of messages that can be lost,
repeated or refused) and when a process works, freezes or dies.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import Engine, RowMapping, select, text

import chronos_common.process.heartbeat
import chronos_scheduler.dispatch
import chronos_scheduler.plan
import chronos_scheduler.rescue
import factories
from chronos_common import clock
from chronos_common.broker import Batch, Broker, BrokerUnavailable
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Outcome
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage import workers
from chronos_common.storage.executions import claims
from chronos_common.storage.jobs import schedules
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.tables import executions
from chronos_scheduler.complete import Completer
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.plan import Planner
from chronos_scheduler.rescue import Rescuer
from chronos_scheduler.sweep import Sweeper
from chronos_worker.attempts import Finished
from chronos_worker.claim import Claimer
from chronos_worker.recorder import Recorder

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOOKAHEAD = timedelta(seconds=1)
WORKER_TIMEOUT = timedelta(seconds=15)

#: More than this many missed occurrences ``run_all`` does not run; real schedulers allow more.
MAX_RUN_ALL = 10


class Crash(Exception):
    """The scheduler process died here."""


class Fault(Enum):
    """What happens to the next publish."""

    NONE = auto()
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    REFUSED = auto()
    NO_ANSWER = auto()
    LOST = auto()


@dataclass(frozen=True)
class Message:
    """What a worker takes from a queue."""

    queue: str
    ids: Sequence[UUID]
    published_at: datetime


@dataclass
class Wire:
    """Stands for Redis."""

    waiting: list[Message] = field(default_factory=list)
    ever: list[Message] = field(default_factory=list)
    fault: Fault = Fault.NONE
    is_down: bool = False

    def publish(self, batches: Sequence[Batch], *, now: datetime) -> None:
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if self.is_down or fault is Fault.REFUSED:
            raise BrokerUnavailable
        messages = [Message(each.queue, each.ids, now) for each in batches]
        self.ever += messages
        if fault is not Fault.LOST:
            self.waiting += messages
        if fault is Fault.NO_ANSWER:
            raise BrokerUnavailable
        if fault is Fault.CRASH_AFTER:
            raise Crash

    def oldest(self) -> Mapping[str, datetime]:
        if self.is_down:
            raise BrokerUnavailable
        found: dict[str, datetime] = {}
        for message in self.waiting:
            found.setdefault(message.queue, message.published_at)
        return found

    def depths(self) -> Mapping[str, int]:
        if self.is_down:
            raise BrokerUnavailable
        return {each.queue: 1 for each in self.waiting}


@dataclass
class Held:
    """An execution that a worker claimed, and whether its request left."""

    claimed: Claimed
    job: JobSpec
    has_started: bool = False


@dataclass(frozen=True)
class Request:
    """What a target sees of an attempt; no two are the same."""

    execution_id: UUID
    attempt: int
    redeliveries: int
    worker_id: UUID


class ModelWorker:
    """A worker process whose threads run when the model says so."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.heartbeat = Heartbeat(engine, kind="worker", timeout=WORKER_TIMEOUT)
        self.heartbeat._register()
        self._claimer = Claimer(engine, self.heartbeat)
        self._recorder = Recorder(engine)
        self.held: list[Held] = []
        self.is_frozen = False

    def take(self, message: Message) -> list[Held]:
        """Claim what a message names; without a lease, the message is dropped."""
        if not self.heartbeat.holds(self.heartbeat.id):
            return []
        with self._engine.begin() as connection:
            specs = Specs().of(connection, message.ids)
        claimed = self._claimer.claim(message.ids, specs, queue=message.queue)
        taken = [Held(each, specs[each.job_id]) for each in claimed]
        self.held += taken
        return taken

    def start(self) -> list[Request]:
        """Send the requests of what is held; without a lease none leaves."""
        sent = []
        for held in [each for each in self.held if not each.has_started]:
            if self.heartbeat.holds(held.claimed.worker_id):
                held.has_started = True
                claimed = held.claimed
                sent.append(
                    Request(claimed.id, claimed.attempt, claimed.redeliveries, claimed.worker_id)
                )
            else:
                self.held.remove(held)
        return sent

    def finish(self, held: Held, outcome: Outcome) -> None:
        """Record how an attempt ended."""
        self.held.remove(held)
        attempt = Attempt(started_at=clock.now(), duration_ms=1)
        finished = Finished(held.claimed, "webhooks", held.job.policy, outcome, attempt)
        self._recorder._write_divided([finished])

    def stop(self) -> list[Held]:
        """Put back what is held, as a worker that is told to stop."""
        given = self.held
        with self._engine.begin() as connection:
            for each in given:
                claims.give_back(
                    connection,
                    [each.claimed.id],
                    worker_id=self.heartbeat.id,
                    claimed_at=each.claimed.claimed_at,
                )
            workers.remove(connection, self.heartbeat.id)
        self.held = []
        return given


class Cluster:
    """Two schedulers' worth of chores, any number of workers, a database, and their time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = BEGINNING
        self.wire = Wire()
        self.workers: list[ModelWorker] = []
        self._start_scheduler()

    def _start_scheduler(self) -> None:
        engine = self.engine
        self.dispatcher = Dispatcher(
            engine,
            cast(Broker, self.wire),
            lookahead=LOOKAHEAD,
            batch=100,
            message_size=3,
            max_queued=timedelta(seconds=2),
        )
        self.planner = Planner(engine, self.dispatcher, lookahead=LOOKAHEAD, batch=100)
        self.rescuer = Rescuer(
            engine,
            cast(Broker, self.wire),
            self.dispatcher,
            worker_timeout=WORKER_TIMEOUT,
            regular_seconds=lambda: math.inf,
        )
        self.sweeper = Sweeper(engine)
        self.completer = Completer(engine)

    def begin(self) -> Any:
        """Begin anew: empty the tables, make a workspace, and return who calls the API."""
        self.now = BEGINNING
        self.wire = Wire()
        self.workers = []
        self._start_scheduler()
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM executions"))
            connection.execute(text("DELETE FROM workspaces"))
            connection.execute(text("DELETE FROM users"))
            connection.execute(text("DELETE FROM workers"))
            workspace = factories.workspace(connection, now=self.now)
        return SimpleNamespace(user_id=workspace.owner, workspace_id=workspace.id, key_id=None)

    def advance(self, seconds: float) -> None:
        """Let time pass, in which living processes say so."""
        self.now += timedelta(seconds=seconds)
        for worker in self.workers:
            if not worker.is_frozen:
                with self.engine.begin() as connection:
                    connection.execute(
                        text("UPDATE workers SET heartbeat_at = :before WHERE id = :id"),
                        {"before": self.now - timedelta(seconds=1), "id": worker.heartbeat.id},
                    )
                worker.heartbeat._tick()

    def seconds(self) -> float:
        """Return the time as a monotonic clock shows it."""
        return (self.now - BEGINNING).total_seconds()

    def rows(self) -> dict[UUID, RowMapping]:
        """Return all executions by their ids."""
        with self.engine.connect() as connection:
            found = connection.execute(select(executions)).mappings()
            return {row["id"]: row for row in found}

    def is_behind(self) -> bool:
        """Tell whether something is due and not planned."""
        with self.engine.connect() as connection:
            return schedules.overdue(connection, before=self.now + LOOKAHEAD)[0] > 0

    def counted(self) -> dict[str, int]:
        """Return how many executions of each fate the statistics hold."""
        with self.engine.connect() as connection:
            query = text("SELECT status, sum(executions) FROM execution_stats GROUP BY status")
            return {status: int(number) for status, number in connection.execute(query)}

    def told(self) -> int:
        """Return of how many failures somebody is told."""
        with self.engine.connect() as connection:
            query = text("SELECT COALESCE(sum(failures), 0) FROM notifications")
            return int(connection.execute(query).scalar_one())


@contextmanager
def on(engine: Engine, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Yield a cluster whose time is its own."""
    cluster = Cluster(engine)
    with patch.context() as patched:
        time = SimpleNamespace(monotonic=cluster.seconds)
        patched.setattr(clock, "now", lambda: cluster.now)
        patched.setattr(chronos_scheduler.dispatch, "LOOK_SECONDS", 0.0)
        patched.setattr(chronos_scheduler.plan, "time", time)
        patched.setattr(chronos_scheduler.plan, "MAX_RUN_ALL", MAX_RUN_ALL)
        patched.setattr(chronos_common.process.heartbeat, "time", time)
        patched.setattr(chronos_common.process.heartbeat, "measure_clock", lambda _: timedelta(0))
        yield cluster

"""Whether this installation does its work: database, schema, scheduler, worker, Redis, queues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import cast

from flask import Flask, current_app
from redis import Redis
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from chronos_api.context import current
from chronos_common import broker, clock
from chronos_common.domain.timezones import files
from chronos_common.errors import Unavailable
from chronos_common.migrations import schema
from chronos_common.storage import workers
from chronos_common.storage.postgres.database import transaction

#: For how long an answer serves again. Everybody may ask, and the checks cost database and Redis.
CACHED_SECONDS = 1.0

#: Back-pressure bounds the wait of messages to a few seconds. After this, workers are missing.
LATE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed, with the details of the fault or of the finding."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ReadinessState:
    """Whether jobs run, and each check."""

    checks: Sequence[Check]
    timezone_database: str = files.VERSION

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing."""
        return all(check.ok for check in self.checks)

    @property
    def status(self) -> str:
        """The same for clients."""
        return "ready" if self.is_ready else "not ready"


class _LatestCheck:
    """The state that the latest check found. Requests side by side wait for one check."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: ReadinessState | None = None
        self._stale_at = 0.0

    def read(self) -> ReadinessState:
        """Return the state as it was at most :data:`CACHED_SECONDS` ago."""
        with self._lock:
            if self._state is None or monotonic() >= self._stale_at:
                self._state = _check_current()
                self._stale_at = monotonic() + CACHED_SECONDS
            return self._state


_EXTENSION = "chronos-readiness"


def register(app: Flask) -> None:
    """Give the application a memory of its latest check."""
    app.extensions[_EXTENSION] = _LatestCheck()


def check_installation() -> ReadinessState:
    """Return the state of the installation that the current request is for.

    It may be a second old. However many ask, each process makes one check at a time.
    """
    return cast(_LatestCheck, current_app.extensions[_EXTENSION]).read()


def _check_current() -> ReadinessState:
    context = current()
    return check(
        context.engine,
        context.redis,
        alive_within=context.settings.worker_timeout,
        now=clock.now(),
    )


def check(
    engine: Engine, redis: Redis, *, alive_within: timedelta, now: datetime
) -> ReadinessState:
    """Check everything in bounded time. Checks that a dead database would fail are left out."""
    database = _database(engine)
    found = [database]
    if database.ok:
        found += [_schema(engine), *_processes(engine, now - alive_within)]
    return ReadinessState([*found, *_redis(redis, now)])


def _database(engine: Engine) -> Check:
    try:
        with transaction(engine) as connection:
            read_only = connection.execute(text("SHOW transaction_read_only")).scalar_one()
    except SQLAlchemyError:
        return Check("database", ok=False, detail="PostgreSQL does not answer.")
    if read_only == "on":
        detail = "PostgreSQL takes no changes; CHRONOS_DATABASE_URL must name the primary server."
        return Check("database", ok=False, detail=detail)
    return Check("database", ok=True, detail="PostgreSQL answers.")


def _schema(engine: Engine) -> Check:
    try:
        current = schema.is_current(engine)
    except SQLAlchemyError:
        return Check("schema", ok=False, detail="PostgreSQL does not answer.")
    if current:
        return Check("schema", ok=True, detail="The schema is current.")
    detail = "The schema is not that of this version; run 'chronos db upgrade'."
    return Check("schema", ok=False, detail=detail)


def _processes(engine: Engine, alive_since: datetime) -> list[Check]:
    try:
        with transaction(engine) as connection:
            alive = workers.count_alive(connection, alive_since=alive_since)
    except SQLAlchemyError:
        return [_process(kind, 0) for kind in ("scheduler", "worker")]
    return [_process(kind, alive.get(kind, 0)) for kind in ("scheduler", "worker")]


def _process(kind: str, count: int) -> Check:
    if count:
        return Check(kind, ok=True, detail=f"{count} alive.")
    return Check(kind, ok=False, detail=f"None is alive; start one with 'chronos {kind}'.")


def _redis(redis: Redis, now: datetime) -> list[Check]:
    try:
        oldest = broker.oldest_of(redis)
    except Unavailable:
        return [Check("redis", ok=False, detail="Redis does not answer.")]
    return [Check("redis", ok=True, detail="Redis answers."), _queues(oldest, now)]


def _queues(oldest: Mapping[str, datetime], now: datetime) -> Check:
    ages = {queue: now - published_at for queue, published_at in oldest.items()}
    late = {queue: age for queue, age in ages.items() if age > LATE}
    if not late:
        return Check("queues", ok=True, detail="Workers take what the schedulers publish.")
    texts = [f"{queue} ({age.total_seconds():.0f} s)" for queue, age in sorted(late.items())]
    detail = f"Workers do not take the messages of: {', '.join(texts)}; see 'chronos doctor'."
    return Check("queues", ok=False, detail=detail)

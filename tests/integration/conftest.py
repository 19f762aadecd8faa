"""Parts of schedulers and workers, on this test's own database and Valkey."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

import factories
from chronos_common import clock
from chronos_common.broker import Broker
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.process.heartbeat import Heartbeat
from chronos_scheduler import plan
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.plan import Planner
from chronos_scheduler.rescue import Rescuer
from factories import StoreJob, Workspace


@pytest.fixture
def now() -> datetime:
    """The instant at which the test began, in whole seconds."""
    return clock.now().replace(microsecond=0)


@pytest.fixture
def read_only(engine: Engine) -> Callable[[], AbstractContextManager[None]]:
    """Lets this test's database take no changes while a ``with`` block lasts, as a standby."""

    @contextmanager
    def refusing() -> Iterator[None]:
        _refuse_changes(engine, "SET default_transaction_read_only = on")
        try:
            yield
        finally:
            _refuse_changes(engine, "RESET default_transaction_read_only")

    return refusing


def _refuse_changes(engine: Engine, setting: str) -> None:
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        connection.execute(text(f'ALTER DATABASE "{name}" {setting}'))
    with engine.begin() as connection:
        # The setting counts for connections that are opened from now on.
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        connection.detach()


@pytest.fixture
def workspace(engine: Engine, now: datetime) -> Workspace:
    """A workspace with its owner."""
    with engine.begin() as connection:
        return factories.workspace(connection, now=now)


@pytest.fixture
def a_job(engine: Engine, workspace: Workspace, now: datetime) -> StoreJob:
    """Stores a job of the workspace, hourly unless it is given another schedule."""

    def store(schedule: Schedule | None = None, **changes: Any) -> UUID:
        with engine.begin() as connection:
            schedule = schedule or factories.every(3600, anchor=now)
            return factories.job(connection, workspace, schedule, now=now, **changes)

    return store


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    """Messages in Valkey."""
    broker = Broker(redis_url)
    yield broker
    broker.close()


@pytest.fixture
def heartbeat(engine: Engine) -> Iterator[Heartbeat]:
    """A worker's sign of life."""
    heartbeat = Heartbeat(engine, kind="worker", timeout=timedelta(seconds=15))
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


@pytest.fixture
def dispatcher(engine: Engine, broker: Broker) -> Dispatcher:
    """What hands executions over, at most three in a message."""
    return Dispatcher(
        engine,
        broker,
        lookahead=timedelta(seconds=1),
        batch=100,
        message_size=3,
        max_queued=timedelta(seconds=2),
    )


@pytest.fixture
def planner(engine: Engine, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Planner:
    """What turns due schedules into executions, with time for all in one tick."""
    monkeypatch.setattr(plan, "BUDGET_SECONDS", 60)
    return Planner(engine, dispatcher, lookahead=timedelta(seconds=1), batch=100)


@pytest.fixture
def rescuer(engine: Engine, broker: Broker, dispatcher: Dispatcher) -> Rescuer:
    """What puts back what was lost."""
    return Rescuer(
        engine,
        broker,
        dispatcher,
        worker_timeout=timedelta(seconds=15),
        regular_seconds=lambda: math.inf,
    )

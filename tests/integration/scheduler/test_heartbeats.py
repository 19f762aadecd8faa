"""The heartbeats of processes, and who is declared lost without one."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import InternalError

from chronos_common import clock
from chronos_common.broker import Broker
from chronos_common.process import heartbeat as heartbeats
from chronos_common.process.heartbeat import Heartbeat
from chronos_common.storage import workers
from chronos_common.storage.postgres.database import connect, reading
from chronos_scheduler.dispatch import Dispatcher
from chronos_scheduler.rescue import Rescuer
from rigs import wait_until


def test_heartbeats_are_regular_only_while_the_database_takes_changes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absence of any kind, also of reads or of writes alone, begins the time anew."""
    seconds = [1000.0]
    monkeypatch.setattr(heartbeats, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    engine = connect(database_url, name="test", pool_size=1)
    heartbeat = Heartbeat(engine, kind="scheduler", timeout=timedelta(seconds=15))
    heartbeat._register()
    for _ in range(3):
        seconds[0] += 5.5
        heartbeat._tick()
    assert heartbeat.regular_seconds == 16.5

    _take_no_changes(engine, "on")
    for _ in range(2):
        seconds[0] += 5.0
        with pytest.raises(InternalError):
            heartbeat._tick()
    assert heartbeat.regular_seconds == 0
    _take_no_changes(engine, "off")
    seconds[0] += 2.0
    heartbeat._tick()
    seconds[0] += 1.0
    assert heartbeat.regular_seconds == 1.0
    with engine.begin() as connection:
        workers.remove(connection, heartbeat.id)
    engine.dispose()


def _take_no_changes(engine: Engine, value: str) -> None:
    with reading(engine) as connection:
        connection.execute(text(f"SET default_transaction_read_only = {value}"))


def test_nobody_is_declared_lost_while_own_heartbeats_are_late(
    engine: Engine, broker: Broker, dispatcher: Dispatcher, now: datetime
) -> None:
    lost = workers.Process(id=uuid4(), kind="worker", hostname="gone", pid=1, version="1")
    regular = [14.9]
    rescuer = Rescuer(
        engine,
        broker,
        dispatcher,
        worker_timeout=timedelta(seconds=15),
        regular_seconds=lambda: regular[0],
    )
    with engine.begin() as connection:
        workers.register(connection, lost, now=now - timedelta(seconds=20))
    rescuer.tick()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM workers")).scalars().all() == [lost.id]
    regular[0] = 15.0
    rescuer.tick()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM workers")).scalars().all() == []


def test_a_process_that_was_declared_lost_goes_on_under_a_new_id(engine: Engine) -> None:
    heartbeat = Heartbeat(engine, kind="worker", timeout=timedelta(milliseconds=300))
    heartbeat.start()
    try:
        first = heartbeat.id
        assert heartbeat.holds(first)
        with engine.begin() as connection:
            workers.declare_lost(connection, alive_since=clock.now())
        wait_until(lambda: heartbeat.id != first)
        assert heartbeat.holds(heartbeat.id)
        assert not heartbeat.holds(first)
    finally:
        heartbeat.stop()
    with engine.connect() as connection:
        left = connection.execute(text("SELECT id FROM workers")).scalars().all()
    assert left == []

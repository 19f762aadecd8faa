"""A server that goes away is an outage to whoever uses it, and none to who comes next."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from chronos_common.storage import change_feed
from chronos_common.storage.postgres import database
from chronos_common.storage.postgres.database import (
    connect,
    connect_for_long_statements,
    reading,
    transaction,
)
from rigs import wait_until

Opened = Callable[[Engine], AbstractContextManager[Connection]]

_OWN_END = text("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def looking(database_url: str) -> Iterator[Engine]:
    """An engine like the API's: it looks at its connections, and its changes are followed."""
    own = connect(database_url, name="test", checks_pooled=True)
    change_feed.follow(own, lambda _: None)
    yield own
    own.dispose()


@pytest.mark.parametrize("opened", [reading, transaction])
def test_a_server_that_goes_away_during_a_statement_is_an_outage(
    looking: Engine, opened: Opened
) -> None:
    with pytest.raises(DBAPIError) as caught, opened(looking) as connection:
        connection.execute(_OWN_END)
    assert database.is_outage(caught.value)


@pytest.mark.parametrize("opened", [reading, transaction])
def test_a_connection_that_ended_in_the_pool_is_replaced(
    looking: Engine, engine: Engine, opened: Opened
) -> None:
    with opened(looking) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with engine.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with opened(looking) as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid


def test_what_was_read_is_no_less_true_if_the_server_goes_away_after_it(
    looking: Engine, engine: Engine
) -> None:
    with reading(looking) as connection:
        connection.execute(text("SELECT 1"))
    with reading(looking) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_reading_leaves_a_connection_that_opens_transactions(looking: Engine) -> None:
    with reading(looking) as connection:
        assert connection.connection.driver_connection.autocommit
    with transaction(looking) as connection:
        assert not connection.connection.driver_connection.autocommit


def test_a_connection_that_nobody_uses_is_closed_and_replaced(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", 1)
    own = connect(database_url, name="idle")
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'idle'")

    def is_gone() -> bool:
        with engine.connect() as connection:
            return bool(connection.execute(count).scalar_one() == 0)

    with reading(own) as connection:
        assert not is_gone()
        connection.execute(text("SELECT 1"))
    wait_until(is_gone, within=30)
    with transaction(own) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    own.dispose()


def _limits(own: Engine) -> dict[str, str]:
    with own.connect() as connection:
        # A setting of the transaction that is rolled back would be gone now.
        connection.rollback()
        found = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("statement_timeout", "lock_timeout", "timezone", "idle_session_timeout")
        }
    own.dispose()
    return found


def test_every_connection_has_its_time_limits(database_url: str) -> None:
    assert _limits(connect(database_url, name="test", lock_seconds=1.5)) == {
        "statement_timeout": "15s",
        "lock_timeout": "1500ms",
        "timezone": "UTC",
        "idle_session_timeout": "47s",
    }


def test_a_long_statement_has_no_time_limit_but_for_locks(database_url: str) -> None:
    url = make_url(database_url)
    assert _limits(connect_for_long_statements(url, name="test", lock_seconds=1.5)) == {
        "statement_timeout": "0",
        "lock_timeout": "1500ms",
        "timezone": "UTC",
        "idle_session_timeout": "0",
    }


def test_a_server_that_takes_no_changes_is_an_outage(
    looking: Engine, read_only: Callable[[], AbstractContextManager[None]]
) -> None:
    change = text("INSERT INTO workers (id, kind) VALUES (gen_random_uuid(), 'worker')")
    with read_only(), pytest.raises(DBAPIError) as caught, transaction(looking) as connection:
        connection.execute(change)
    assert database.is_outage(caught.value)


@pytest.mark.parametrize(
    ("quick", "readings"), [(timedelta(hours=1), 1), (timedelta(0), 3)], ids=["quick", "slow"]
)
def test_the_clock_is_read_again_unless_a_reading_was_quick(
    looking: Engine, monkeypatch: pytest.MonkeyPatch, quick: timedelta, readings: int
) -> None:
    monkeypatch.setattr(database, "QUICK_READING", quick)
    statements: list[str] = []
    event.listen(looking, "before_cursor_execute", lambda _c, _u, sql, *_: statements.append(sql))
    with reading(looking) as connection:
        database.measure_clock(connection)
    assert len(statements) == readings

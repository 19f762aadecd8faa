"""Statements that are prepared: read and planned once for each connection."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from chronos_common.storage.postgres import database
from chronos_common.storage.postgres.database import reading, transaction
from chronos_common.storage.postgres.prepared_statements import prepared

_REMAINDER = prepared(
    text("SELECT CAST(:number AS int) % :by AS rest, :number AS again, :text LIKE '1%'")
)
_HELD = text("SELECT name, generic_plans + custom_plans FROM pg_prepared_statements ORDER BY name")


@pytest.fixture
def lonely(database_url: str) -> Iterator[Engine]:
    """An engine with one connection, so that all of a test happens on it."""
    own = database.connect(database_url, name="test", pool_size=1)
    yield own
    own.dispose()


def test_a_statement_is_prepared_once_and_answers_each_time(lonely: Engine) -> None:
    for number in (7, 8, 9):
        with reading(lonely) as connection:
            values = {"number": number, "by": 5, "text": f"{number}0 %"}
            assert connection.execute(_REMAINDER, values).one() == (number % 5, number, False)
    with reading(lonely) as connection:
        assert connection.execute(_HELD).all() == [("chronos_0", 3)]


def test_a_statement_may_have_no_parameters(lonely: Engine) -> None:
    statement = prepared(text("SELECT 7 % 5"))
    for _ in range(2):
        with reading(lonely) as connection:
            assert connection.execute(statement).scalar_one() == 2


def test_a_rollback_leaves_it_prepared(lonely: Engine) -> None:
    values = {"number": 7, "by": 5, "text": "1"}
    with lonely.connect() as connection:
        connection.execute(_REMAINDER, values)
        connection.rollback()
    with transaction(lonely) as connection:
        assert connection.execute(_REMAINDER, values).one() == (2, 7, True)


def test_what_could_not_be_prepared_is_prepared_the_next_time(lonely: Engine) -> None:
    statement = prepared(text("SELECT count(*) FROM comes_later WHERE id = :id"))
    with pytest.raises(DBAPIError), reading(lonely) as connection:
        connection.execute(statement, {"id": 1})
    with transaction(lonely) as connection:
        connection.execute(text("CREATE TEMP TABLE comes_later (id int)"))
    with reading(lonely) as connection:
        assert connection.execute(statement, {"id": 1}).scalar_one() == 0


def test_a_new_connection_prepares_it_anew(lonely: Engine, engine: Engine) -> None:
    values = {"number": 7, "by": 5, "text": "1"}
    with reading(lonely) as connection:
        connection.execute(_REMAINDER, values)
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with engine.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with pytest.raises(DBAPIError) as caught, reading(lonely) as connection:
        connection.execute(_REMAINDER, values)
    assert database.is_outage(caught.value)
    with reading(lonely) as connection:
        assert connection.execute(_REMAINDER, values).one() == (2, 7, True)


@pytest.fixture
def changing(engine: Engine) -> Iterator[None]:
    """A table of that name, which is there for all connections."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE changing (id int)"))
    yield
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE changing"))


@pytest.mark.usefixtures("changing")
@pytest.mark.parametrize("change", ["ALTER TABLE changing ALTER id TYPE bigint", "DISCARD ALL"])
def test_what_is_outdated_is_replaced_like_a_broken_connection(
    lonely: Engine, change: str
) -> None:
    statement = prepared(text("SELECT id FROM changing WHERE id = :id"))
    with reading(lonely) as connection:
        assert connection.execute(statement, {"id": 1}).all() == []
        connection.execute(text(change))
    with pytest.raises(DBAPIError) as caught, reading(lonely) as connection:
        connection.execute(statement, {"id": 1})
    assert database.is_outage(caught.value)
    with reading(lonely) as connection:
        assert connection.execute(statement, {"id": 1}).all() == []


def test_what_postgresql_cannot_do_at_all_is_no_outage(lonely: Engine) -> None:
    impossible = text("SELECT count(*) FROM jobs FOR UPDATE")
    with pytest.raises(DBAPIError) as caught, reading(lonely) as connection:
        connection.execute(impossible)
    assert not database.is_outage(caught.value)


def test_a_column_that_was_added_changes_nothing(lonely: Engine) -> None:
    statement = prepared(text("SELECT id FROM grows WHERE id = :id"))
    with transaction(lonely) as connection:
        connection.execute(text("CREATE TEMP TABLE grows (id int)"))
        assert connection.execute(statement, {"id": 1}).all() == []
        connection.execute(text("ALTER TABLE grows ADD COLUMN more text DEFAULT ''"))
        connection.execute(text("INSERT INTO grows VALUES (1)"))
        assert connection.execute(statement, {"id": 1}).scalar_one() == 1

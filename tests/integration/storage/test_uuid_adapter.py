"""Identifiers come from PostgreSQL as if Python had made them."""

import pickle
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text


@pytest.mark.parametrize("given", [UUID(int=0), UUID(int=2**128 - 1), uuid4()])
def test_an_identifier_is_the_one_that_was_stored(engine: Engine, given: UUID) -> None:
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT CAST(:id AS uuid), CAST(:ids AS uuid[])"), {"id": given, "ids": [given]}
        ).one()
    read: UUID = found[0]
    assert (read, found[1]) == (given, [given])
    assert (str(read), repr(read), read.bytes) == (str(given), repr(given), given.bytes)
    assert {given: 1}[read] == 1
    assert pickle.loads(pickle.dumps(read)) == given  # noqa: S301 - our own


def test_none_is_none(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT CAST(NULL AS uuid), ARRAY[CAST(NULL AS uuid)]"))
        assert tuple(found.one()) == (None, [None])

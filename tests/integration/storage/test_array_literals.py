"""PostgreSQL reads array literals back as what Python wrote."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from chronos_common.storage.postgres.database import connect

_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
_MOMENTS = st.timedeltas(timedelta(0), timedelta(days=2_900_000)).map(
    lambda since: datetime(1970, 1, 1, tzinfo=UTC) + since
)


@pytest.fixture(scope="module")
def reader(servers: Any) -> Any:
    url = servers.database_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    engine = connect(url, name="arrays")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("sql_type", "elements"),
    [
        ("text", _TEXTS),
        ("timestamptz", _MOMENTS),
        ("uuid", st.uuids(allow_nil=True)),
        ("bigint", st.integers(-(2**63), 2**63 - 1)),
        ("double precision", st.floats(allow_nan=False)),
        ("boolean", st.booleans()),
    ],
)
def test_what_is_written_is_read(reader: Engine, sql_type: str, elements: Any) -> None:
    with reader.connect() as connection:

        @given(st.lists(st.none() | elements, max_size=8))
        def check(values: list[object]) -> None:
            query = text(f"SELECT unnest(CAST(:values AS {sql_type}[]))")
            assert list(connection.execute(query, {"values": values}).scalars()) == values

        check()


def test_a_null_byte_is_refused_before_it_is_sent(reader: Engine) -> None:
    with reader.connect() as connection, pytest.raises(ValueError, match="NUL"):
        connection.execute(text("SELECT CAST(:values AS text[])"), {"values": ["\x00"]})


def test_an_id_stays_an_id(reader: Engine) -> None:
    with reader.connect() as connection:
        query = text("SELECT CAST(:ids AS uuid[])")
        assert connection.execute(query, {"ids": [UUID(int=7)]}).scalar_one() == [UUID(int=7)]

"""The API on a database of its own: tests share it, each with users of its own."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, RowMapping, make_url, text, update

from chronos_api.app import create_app
from chronos_api.bulk import runner
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage import bulk_changes
from chronos_common.storage.postgres.database import connect
from chronos_common.storage.tables import bulk_changes as changes
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, register
from integration.api.inbox import Inbox
from integration.api.rows import Resting


@pytest.fixture(scope="session")
def api_database_url(_admin: Engine, _template: str) -> Iterator[str]:
    """A database that the tests of the API share; what they store is their users' own."""
    name = f"{_template}_api"
    with _admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_template}"))
    yield make_url(_admin.url).set(database=name).render_as_string(hide_password=False)
    with _admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def db(api_database_url: str) -> Iterator[Engine]:
    """Connections to the API's database."""
    engine = connect(api_database_url, name="test-api", pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def app(db: Engine, servers: Servers) -> Iterator[Flask]:
    """The application; the limits are too high to be met."""
    url = db.url.render_as_string(hide_password=False)
    made = create_app(settings_for(url, servers.redis_url), db)
    yield made
    runner.of(made).join(timeout=10)


@pytest.fixture
def caller(app: Flask, db: Engine) -> Caller:
    """The owner of a workspace."""
    return register(app, db)


@pytest.fixture
def stranger(app: Flask, db: Engine) -> Caller:
    """The owner of another workspace."""
    return register(app, db)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """Somebody who is not logged in."""
    return Caller(app)


@pytest.fixture
def inbox(db: Engine, tmp_path: Path) -> Inbox:
    """The mail that the API's users get."""
    return Inbox(db, tmp_path)


@pytest.fixture
def resting(db: Engine, monkeypatch: pytest.MonkeyPatch) -> Resting:
    """Until the returned function is called, no process goes on with a bulk change that begins.

    Servers that other tests share look at the same database.
    """
    add, begun = bulk_changes.add, list[UUID]()

    def move(connection: Connection, rest: timedelta) -> None:
        query = update(changes).where(changes.c.id.in_(begun))
        connection.execute(query.values(next_at=clock.now() + rest))

    def add_for_later(connection: Connection, *arguments: Any, **options: Any) -> RowMapping:
        row = add(connection, *arguments, **options)
        begun.append(row["id"])
        move(connection, clock.HOUR)
        return row

    def go_on() -> None:
        monkeypatch.setattr(bulk_changes, "add", add)
        with db.begin() as connection:
            move(connection, timedelta(0))

    monkeypatch.setattr(bulk_changes, "add", add_for_later)
    return go_on

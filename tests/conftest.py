"""Real servers for every test that wants them: one PostgreSQL and one Valkey per pytest worker.

Each test gets a database of its own, cloned from a migrated template. Set
``CHRONOS_TEST_DATABASE_URL`` and ``CHRONOS_TEST_REDIS_URL`` to use servers that run already; the
user must be allowed to create databases.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import celery.app.builtins  # noqa: F401 - so that its own tasks are there from the start
import pytest
import structlog
from celery import _state
from hypothesis import HealthCheck, settings
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy import Engine, create_engine, make_url, text
from xdist.remote import Producer

from chronos_common import metrics  # noqa: F401 - so that its series are there from the start
from chronos_common.embedded.servers import servers as embedded
from chronos_common.migrations import schema
from chronos_common.storage.postgres.database import connect
from scheduling import GroupScheduling
from targets import Target

# How fast this machine is today is not what a property is about.
settings.register_profile(
    "chronos", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60
)
settings.load_profile("chronos")

# The default shows the local variables of a traceback, which takes seconds.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Let the tests of a group share their servers."""
    return GroupScheduling(config, log)


def _series() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return the series of our metrics in this process."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith("chronos_")
    }


@pytest.fixture(autouse=True)
def _own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery gives a task to every application of the process, also to those of later tests."""
    monkeypatch.setattr(_state, "_on_app_finalizers", set(_state._on_app_finalizers))


@pytest.fixture(scope="session", autouse=True)
def _known_series() -> Iterator[None]:
    """Whatever the tests do, each label value is one that ``chronos_common.metrics`` knows."""
    from_the_start = _series()
    yield
    assert _series() == from_the_start


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Servers]:
    """PostgreSQL and Valkey, for as long as this pytest worker runs."""
    folder: Path = tmp_path_factory.mktemp("servers")
    with embedded.start(
        folder,
        durable=False,
        database_url=os.environ.get("CHRONOS_TEST_DATABASE_URL"),  # noqa: TID251 - test settings
        redis_url=os.environ.get("CHRONOS_TEST_REDIS_URL"),  # noqa: TID251 - test settings
    ) as running:
        yield running


def _psycopg2(url: str) -> str:
    return (
        make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    )


@pytest.fixture(scope="session")
def _admin(servers: embedded.Servers) -> Iterator[Engine]:
    engine = create_engine(_psycopg2(servers.database_url), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _template(_admin: Engine) -> Iterator[str]:
    """The name of a database with the newest schema and nothing in it."""
    name = f"chronos_template_{uuid4().hex}"
    with _admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = connect(_url_of(_admin, name), name="template")
    schema.upgrade(engine)
    engine.dispose()
    yield name
    with _admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _url_of(admin: Engine, database: str) -> str:
    return admin.url.set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def new_database(_admin: Engine, _template: str) -> Callable[[], AbstractContextManager[str]]:
    """Makes databases with the newest schema, each for as long as a ``with`` block lasts."""

    @contextmanager
    def made() -> Iterator[str]:
        name = f"chronos_test_{uuid4().hex}"
        with _admin.connect() as connection:
            # Copying the files takes a third of the time of copying pages through the log.
            connection.execute(
                text(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY file_copy")
            )
        yield _url_of(_admin, name)
        with _admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    return made


@pytest.fixture
def database_url(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A database of this test's own, with the newest schema."""
    with new_database() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Connections to this test's database."""
    engine = connect(database_url, name="test", pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture
def redis_url(servers: embedded.Servers) -> Iterator[str]:
    """This pytest worker's Valkey, its database 0, emptied."""
    with Redis.from_url(servers.redis_url) as client:
        client.flushdb()
        yield servers.redis_url


@pytest.fixture
def target() -> Iterator[Target]:
    """A server that webhooks can call, and that answers as the test wants."""
    target = Target()
    target.start()
    yield target
    target.close()

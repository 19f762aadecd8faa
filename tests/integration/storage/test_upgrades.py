"""Upgrades of the schema beside a running cluster, beside each other, and of large tables."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

import factories
from chronos_common import ids
from chronos_common.migrations import revisions, schema
from chronos_common.storage.executions import executions, partitions
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.postgres import database, timeouts
from rigs import wait_until

DAYS = 3
EACH_DAY = 50


@pytest.fixture
def old(engine: Engine, now: datetime) -> Engine:
    """A database of revision 0003 with a history of some days."""
    with engine.begin() as connection:
        workspace = factories.workspace(connection, now=now)
        job_id = factories.job(connection, workspace, factories.every(60, anchor=now), now=now)
        for number in range(DAYS):
            day = now - timedelta(days=number)
            partitions.create(connection, day.date())
            moments = [day + timedelta(milliseconds=n) for n in range(EACH_DAY)]
            executions.add(
                connection,
                [
                    Planned(ids.occurrence_id(job_id, at), workspace.id, job_id, "w", at, None)
                    for at in moments
                ],
            )
    downgrade(engine, "0003")
    return engine


def downgrade(engine: Engine, revision: str) -> None:
    config = schema._config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def invalid(engine: Engine) -> set[str]:
    query = """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE NOT i.indisvalid"""
    with engine.connect() as connection:
        return set(connection.execute(text(query)).scalars())


def indexed(engine: Engine, index: str) -> set[str]:
    """Return the partitions that have their part of an index."""
    query = """SELECT x.indrelid::regclass::text FROM pg_inherits i
                 JOIN pg_index x ON x.indexrelid = i.inhrelid
                WHERE i.inhparent = to_regclass(:index)"""
    with engine.connect() as connection:
        return set(connection.execute(text(query), {"index": index}).scalars())


def test_an_index_is_built_partition_by_partition_and_the_steps_are_told(
    old: Engine, now: datetime
) -> None:
    told: list[str] = []
    schema.upgrade(old, say=told.append)
    names = [f"executions_{(now - timedelta(days=n)).date():%Y%m%d}" for n in range(DAYS)]
    for index in ("executions_workspace", "executions_unusual"):
        assert indexed(old, index) == {*names, "executions_default"}
        for name in names:
            assert len([line for line in told if f"index {index}: {name}, " in line]) == 1
    assert invalid(old) == set()
    newest = revisions.known()[-1]
    begun = [line for line in told if line[:1].isdigit()]
    assert begun[0].startswith(f"0004 of {newest}: Add indexes of lists")
    assert len(begun) == len(revisions.known()) - 3
    assert len([line for line in told if line.startswith("  done in ")]) == len(begun)


def test_an_interrupted_upgrade_goes_on(old: Engine) -> None:
    told: list[str] = []

    def stop_at_the_second_partition(words: str) -> None:
        told.append(words)
        if len([line for line in told if "index executions_workspace" in line]) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schema.upgrade(old, say=stop_at_the_second_partition)
    assert "executions_workspace" in invalid(old)
    done = indexed(old, "executions_workspace")
    assert len(done) == 1
    _leave_unfinished(old, f"executions_workspace{min(_partitions(old) - done)[10:]}")
    schema.upgrade(old)
    assert invalid(old) == set()
    assert indexed(old, "executions_workspace") == _partitions(old)


def _partitions(engine: Engine) -> set[str]:
    query = """SELECT inhrelid::regclass::text FROM pg_inherits
                WHERE inhparent = 'executions'::regclass"""
    with engine.connect() as connection:
        return set(connection.execute(text(query)).scalars())


def _leave_unfinished(engine: Engine, index: str) -> None:
    """Leave an index as a concurrent build does that was interrupted."""
    partition = index.replace("_workspace", "")
    with engine.begin() as connection:
        connection.execute(text(f"CREATE INDEX {index} ON {partition} (workspace_id, id)"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(:index)"),
            {"index": index},
        )


def test_no_time_limit_of_the_programs_ends_a_long_statement(
    old: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_SECONDS", 0.001)
    assert schema.upgrade(old) == revisions.known()[-1]


def test_an_upgrade_waits_for_a_table_in_use_and_keeps_nobody_from_it(old: Engine) -> None:
    """Everybody who needs the table queues behind the upgrade, with a time limit of 5 s."""
    schema.upgrade(old, "0007")
    told: list[str] = []
    reading = text("LOCK TABLE schedules IN ACCESS SHARE MODE")
    with old.connect() as user:
        user.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        user.execute(reading)
        with _in_background(lambda: schema.upgrade(old, say=told.append)) as upgrade:
            wait_until(lambda: _waiting_for_locks(old) == 1, within=60)
            with old.connect() as other:
                other.execute(reading)
            wait_until(lambda: _waits(told) > 0, within=60)
            user.rollback()
    assert upgrade.result() == revisions.known()[-1]


def _waits(told: list[str]) -> int:
    return len([line for line in told if "waits for a table in use" in line])


def test_an_upgrade_waits_for_another_and_names_it(old: Engine) -> None:
    told: list[str] = []
    with old.connect() as other:
        pid = other.execute(text("SELECT pg_backend_pid()")).scalar_one()
        other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": schema._MIGRATION_LOCK})
        other.commit()
        with _in_background(lambda: schema.upgrade(old, say=told.append)) as upgrade:
            wait_until(lambda: bool(told), within=60)
            assert told[0].startswith("Another upgrade is under way: test (pid ")
            assert f"(pid {pid} in PostgreSQL)" in told[0]
            assert _waiting_for_locks(old) == 0
            other.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": schema._MIGRATION_LOCK})
            other.commit()
    assert upgrade.result() == revisions.known()[-1]
    assert len([line for line in told if line.startswith("Another")]) == 1


def _waiting_for_locks(engine: Engine) -> int:
    query = """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chronos-db'
                AND datname = current_database() AND wait_event_type = 'Lock'"""
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_a_revision_at_fault_fails_at_once(old: Engine) -> None:
    with old.begin() as connection:
        connection.execute(text("ALTER TABLE jobs RENAME TO work"))
    told: list[str] = []
    with pytest.raises(ProgrammingError, match="jobs"):
        schema.upgrade(old, say=told.append)
    assert _waits(told) == 0


@contextmanager
def _in_background(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)

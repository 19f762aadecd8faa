"""The migrations and the tables that SQLAlchemy sees are the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Text, cast, func, select, text, update
from sqlalchemy.exc import IntegrityError

import factories
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.schedules.misfires import MisfirePolicy
from chronos_common.migrations import schema
from chronos_common.storage.accounts import users
from chronos_common.storage.jobs import jobs as jobs_storage
from chronos_common.storage.jobs import schedules as schedules_storage
from chronos_common.storage.tables import jobs, metadata, schedules, workspace_quotas
from factories import StoreJob


def _is_ours(_name: str | None, _type: str, _parents: object) -> bool:
    return True


def test_the_migrations_make_the_tables_that_the_code_expects(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [
            difference
            for difference in compare_metadata(context, metadata)
            # Indexes and the default partition live in the migrations only.
            if difference[0] not in {"remove_index", "remove_table", "remove_constraint"}
        ]
    assert differences == []


def test_an_upgraded_database_is_current_and_upgrading_again_changes_nothing(
    engine: Engine,
) -> None:
    assert schema.is_current(engine)
    schema.upgrade(engine)
    assert schema.is_current(engine)


def test_a_payload_and_its_names_come_along_from_the_schema_before(
    engine: Engine, now: datetime
) -> None:
    payload = {"url": "https://example.com/", "body": {"b": 1.0, "a": [10**30, None]}}
    with engine.begin() as connection:
        workspace = factories.workspace(connection, now=now)
        changes: dict[str, Any] = {
            "name": "Cafe\u0301",
            "description": "o\u0308",
            "tags": ("u\u0308", "b", "a"),
            "payload": payload,
        }
        schedule = factories.every(60, anchor=now)
        job_id = factories.job(connection, workspace, schedule, now=now, **changes)
    _downgrade(engine, "0005")
    with engine.connect() as connection:
        kind = "SELECT pg_typeof(payload)::text FROM jobs"
        assert connection.execute(text(kind)).scalar_one() == "jsonb"
    schema.upgrade(engine)
    assert schema.is_current(engine)
    with engine.connect() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    assert row.payload == payload
    assert (row.name, row.description, row.tags) == ("Café", "ö", ["ü", "b", "a"])


def test_the_schema_before_has_the_types_that_it_knows_and_refuses_others(
    engine: Engine, now: datetime
) -> None:
    with engine.begin() as connection:
        workspace = factories.workspace(connection, now=now)
        every_minute = factories.every(60, anchor=now)
        job_id = factories.job(connection, workspace, every_minute, now=now, type="fax")
    with pytest.raises(IntegrityError, match="job_type_check"):
        _downgrade(engine, "0008")
    set_type = update(jobs).where(jobs.c.id == job_id)
    with engine.begin() as connection:
        connection.execute(set_type.values(type="email"))
        connection.execute(update(schedules).values(job_type="email"))
    _downgrade(engine, "0008")
    with pytest.raises(IntegrityError, match="jobs_type_check"), engine.begin() as connection:
        connection.execute(set_type.values(type="fax"))
    schema.upgrade(engine)


def test_accounts_of_one_address_become_one_and_the_others_are_disabled(
    engine: Engine, now: datetime
) -> None:
    """Before, a database with lc_ctype C took addresses for different that are the same."""
    _downgrade(engine, "0010")
    addresses = ["A@B\u00dcCHER.example", "a@b\u00fccher.example", "a@xn--bcher-kva.example"]
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX users_email"))
        for place, address in enumerate([*addresses, "b@\u00dc"]):
            connection.execute(
                text(
                    "INSERT INTO users (id, email, password_hash, created_at)"
                    " VALUES (:id, :email, '-', :now)"
                ),
                {"id": UUID(int=place), "email": address, "now": now + timedelta(place)},
            )
        connection.execute(text("CREATE INDEX users_email ON users (email)"))
    schema.upgrade(engine)
    with engine.connect() as connection:
        found = users.find_by_email(connection, "a@XN--BCHER-KVA.example")
        assert found is not None
        assert (found["id"], found["disabled_at"]) == (UUID(int=0), None)
        rows = connection.execute(text("SELECT email FROM users WHERE disabled_at IS NOT NULL"))
        assert sorted(rows.scalars()) == [
            f"a+duplicate-{UUID(int=place)}@xn--bcher-kva.example" for place in (1, 2)
        ]


@pytest.mark.parametrize(
    ("field", "policies"),
    [("overlap_policy", OverlapPolicy), ("misfire_policy", MisfirePolicy)],
)
def test_every_policy_can_be_stored(a_job: StoreJob, field: str, policies: Iterable[Any]) -> None:
    """Fails if a policy is added, and the CHECK of its column is forgotten."""
    for policy in policies:
        a_job(**{field: policy})


def _downgrade(engine: Engine, revision: str) -> None:
    config = schema._config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def test_the_use_of_earlier_jobs_is_counted(engine: Engine, now: datetime) -> None:
    with engine.begin() as connection:
        workspace = factories.workspace(connection, now=now)
        for seconds in (60, 7):
            factories.job(connection, workspace, factories.every(seconds, anchor=now), now=now)
        deleted = factories.job(connection, workspace, factories.every(1, anchor=now), now=now)
        schedules_storage.deactivate(connection, [deleted])
        jobs_storage.delete(connection, [deleted], now=now)
        payload = select(func.octet_length(cast(jobs.c.payload, Text))).limit(1)
        size = connection.execute(payload).scalar_one()
    _downgrade(engine, "0016")
    schema.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(select(workspace_quotas.c.quota, workspace_quotas.c.used))
        assert {row.quota: row.used for row in rows} == {
            "jobs": 2,
            "job_bytes": 2 * size,
            "runs_per_day": 1440 + 12_343,
        }

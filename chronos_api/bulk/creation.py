"""Many new jobs in one transaction: all of them, or none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, RowMapping

from chronos_api.jobs.definition import default_webhooks, definitions
from chronos_api.jobs.service import first_status, note_all
from chronos_api.security.access import Principal
from chronos_common import ids
from chronos_common.errors import Invalid, InvalidItems
from chronos_common.storage.jobs import insert, jobs
from chronos_common.storage.jobs.insert import NewJob
from chronos_common.storage.postgres.database import transaction

MAX_JOBS = 1000


def create(
    engine: Engine, who: Principal, bodies: Sequence[Any], *, now: datetime
) -> Sequence[RowMapping]:
    """Store new jobs and return them, in the order in which they were given.

    Raises :class:`InvalidItems` with every wrong field of each job; then none is stored.
    """
    default_url = _default_url(engine, who, bodies)
    new, faults = [], {}
    for index, fields in enumerate(bodies):
        try:
            new.append(_checked(fields, default_url, now=now))
        except Invalid as error:
            faults[index] = error.fields
    if faults:
        raise InvalidItems(faults)
    _store(engine, who, new, now=now)
    with transaction(engine) as connection:
        rows = jobs.find_many(connection, who.workspace_id, [each.id for each in new])
    row_of = {row["id"]: row for row in rows}
    return [row_of[each.id] for each in new if each.id in row_of]


def _default_url(engine: Engine, who: Principal, bodies: Sequence[Any]) -> str | None:
    """Return the workspace's default webhook if one of the jobs needs it."""
    with transaction(engine) as connection:
        for fields in bodies:
            if isinstance(fields, Mapping):
                url = default_webhooks.url_for(connection, who.workspace_id, fields)
                if url:
                    return url
    return None


def _checked(fields: Any, default_url: str | None, *, now: datetime) -> NewJob:
    if not isinstance(fields, Mapping):
        raise Invalid({"": ["Must be an object."]})
    job_id: UUID = ids.new_id(now)
    definition = definitions.define(fields, job_id=job_id, now=now, default_url=default_url)
    first = definition.schedule.first_at_or_after(now)
    return NewJob(job_id, definition, first, first_status(fields.get("status")))


def _store(engine: Engine, who: Principal, new: Sequence[NewJob], *, now: datetime) -> None:
    with transaction(engine) as connection:
        insert.insert_all(
            connection, new, workspace_id=who.workspace_id, created_by=who.user_id, now=now
        )
        details = {each.id: {"name": each.definition.name} for each in new}
        note_all(connection, who, "job.create", details, now=now)

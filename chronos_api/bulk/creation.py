"""Many new jobs in one transaction: all of them, or none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs import service
from chronos_api.jobs.definition import definitions
from chronos_api.transactions import Call, Session, begin, reading
from chronos_api.workspaces import mail_permission
from chronos_common import ids
from chronos_common.errors import Invalid, InvalidItems
from chronos_common.storage.jobs.insert import NewJob

MAX_JOBS = 1000


def create(call: Call, bodies: Sequence[Any]) -> Sequence[RowMapping]:
    """Store new jobs and return them, in the order in which they were given.

    If any job is wrong, none is stored. Raises :class:`InvalidItems` with every wrong field.
    """
    default_url = _default_url(call, bodies)
    new, faults = [], {}
    for index, fields in enumerate(bodies):
        try:
            new.append(_checked(fields, default_url, now=call.now))
        except Invalid as error:
            faults[index] = error.fields
    with reading(call) as session:
        faults |= _mail_faults(session, new) if not faults else {}
    if faults:
        raise InvalidItems(faults)
    with begin(call) as tx:
        return service.add_all(tx, new)


def _mail_faults(session: Session, new: Sequence[NewJob]) -> dict[int, dict[str, list[str]]]:
    """Return the faults of jobs that send e-mails if the workspace may not."""
    faults = {}
    for index, each in enumerate(new):
        try:
            mail_permission.check_job(session, each.definition)
        except Invalid as error:
            faults[index] = error.fields
    return faults


def _default_url(call: Call, bodies: Sequence[Any]) -> str | None:
    """Return the workspace's default webhook if one of the jobs needs it."""
    with reading(call) as session:
        for fields in bodies:
            if isinstance(fields, Mapping):
                url = definitions.default_url_for(session, fields)
                if url:
                    return url
    return None


def _checked(fields: Any, default_url: str | None, *, now: datetime) -> NewJob:
    if not isinstance(fields, Mapping):
        raise Invalid({"": ["Must be an object."]})
    job_id: UUID = ids.new_id(now)
    definition = definitions.define(fields, job_id=job_id, now=now, default_url=default_url)
    first = definition.schedule.first_at_or_after(now)
    return NewJob(job_id, definition, first, service.first_status(fields.get("status")))

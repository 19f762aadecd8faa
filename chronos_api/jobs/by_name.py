"""Jobs by their name, for scripts that describe what there shall be.

Names are not unique: a name that several jobs have says of none which one is meant. Whoever puts a
job by its name is alone with that name until the transaction ends, so that two at once make one
job; only a plain POST beside them can make a second one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import Engine, RowMapping

from chronos_api.http.json_body import made
from chronos_api.jobs import changes
from chronos_api.jobs import service as services
from chronos_api.jobs.schemas import JobByName
from chronos_api.jobs.service import Versions
from chronos_api.security.access import Principal
from chronos_common.domain.texts import name_of
from chronos_common.errors import Conflict, Invalid, VersionConflict
from chronos_common.storage.jobs import jobs
from chronos_common.storage.postgres.database import transaction


class SeveralJobs(Conflict):
    """Several jobs have this name; rename or delete all but one, or change them by their ids."""


class JobExists(VersionConflict):
    """There is a job of this name already, and 'If-None-Match: *' asks for a new one."""


class NoSuchJob(VersionConflict):
    """There is no job of this name, and 'If-Match' only changes one."""


def put(
    engine: Engine,
    who: Principal,
    name: str,
    body: Mapping[str, Any],
    *,
    expected: Versions,
    must_be_new: bool,
    must_exist: bool,
    now: datetime,
) -> tuple[RowMapping, bool]:
    """Make the one job of that name what ``body`` says; return it, and whether it is new.

    A job that is so already keeps its version. Raises :class:`SeveralJobs`, :class:`Invalid` and
    :class:`VersionConflict`.
    """
    name = _checked(name)
    fields = {**body, "name": _same_name(body.get("name", name), name)}
    with transaction(engine) as connection:
        found = jobs.find_all_named(connection, who.workspace_id, name)
        if len(found) > 1:
            raise SeveralJobs
        if found and must_be_new:
            raise JobExists
        if found:
            row = services.locked(connection, who, found[0], expected)
            return changes.put(connection, who, row, fields, now=now), False
        if must_exist:
            raise NoSuchJob
        return services.add(connection, who, fields, now=now), True


def _checked(name: str) -> str:
    """Return a name as jobs have it, before any job is looked for."""
    try:
        checked: str = made(JobByName).fields["name"].deserialize(name)
    except ValidationError as error:
        raise Invalid({"name": [str(text) for text in error.messages]}) from error
    return checked


def _same_name(given: object, name: str) -> str:
    if not isinstance(given, str) or name_of(given) != name:
        raise Invalid({"name": ["Differs from that in the path; leave it out, or correct it."]})
    return name

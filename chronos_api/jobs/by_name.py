"""Jobs by their name, for scripts that describe the jobs that shall exist.

Names are not unique, and a name that several jobs have identifies none of them. A PUT holds a
lock on the name until its transaction ends, so that two at once create one job. Only a plain POST
at the same time can create a second one.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import RowMapping

from chronos_api.http.json_body import made
from chronos_api.jobs import changes, lifecycle, service
from chronos_api.jobs.lifecycle import Versions
from chronos_api.jobs.schemas import JobByName
from chronos_api.transactions import Call, begin
from chronos_common.domain.texts import name_of
from chronos_common.errors import Conflict, Invalid, VersionConflict
from chronos_common.storage.jobs import jobs


class SeveralJobs(Conflict):
    """Several jobs have this name. Rename or delete all but one, or change them by their ids."""


class JobExists(VersionConflict):
    """There is a job of this name already, and 'If-None-Match: *' asks for a new one."""


class NoSuchJob(VersionConflict):
    """There is no job of this name, and 'If-Match' only changes one."""


def put(
    call: Call,
    name: str,
    body: Mapping[str, Any],
    *,
    expected: Versions,
    must_be_new: bool,
    must_exist: bool,
) -> tuple[RowMapping, bool]:
    """Create the job of that name, or replace its definition. Return it, and whether it is new.

    A job that has this definition already keeps its version. Raises :class:`SeveralJobs`,
    :class:`Invalid` and :class:`VersionConflict`.
    """
    name = _checked(name)
    fields = {**body, "name": _same_name(body.get("name", name), name)}
    with begin(call) as tx:
        namesakes = jobs.find_all_named(tx.connection, tx.workspace_id, name)
        if len(namesakes) > 1:
            raise SeveralJobs
        if namesakes and must_be_new:
            raise JobExists
        if namesakes:
            row = lifecycle.lock_one(tx, namesakes[0], expected)
            return changes.put(tx, row, fields), False
        if must_exist:
            raise NoSuchJob
        return service.add(tx, fields), True


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

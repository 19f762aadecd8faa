"""The specs of jobs: the fields that workers need for the executions that they claim.

A test run has no job, but a spec as if it had one: ``spec_of`` makes both.

Most executions are of jobs that have not changed since their last one. The transactions that wrote
the rows (``xmin``, PostgreSQL manual, section 5.6) identify a job's state. A known state is not
read, parsed and built again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from chronos_common.domain.executions import JobSpec
from chronos_common.storage.jobs.columns import FOR_WORKERS, policy_of

#: The size of the cache. At a few KiB each, more specs would take too much memory.
MAX_KEPT = 10_000
#: Specs with a longer payload are not cached. It is only read for executions that were claimed.
MAX_KEPT_BYTES = 4 << 10

_NO_BOUND = 1 << 30

# One text for each job is read in a fraction of the time that its parts take.
_STATE = "concat(j.id, '/', j.xmin, '/', w.xmin)"

_STATES = text(f"""
    SELECT {_STATE} FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id IN (SELECT job_id FROM executions WHERE id = ANY(CAST(:ids AS uuid[])))""")  # noqa: S608 - constants

#: The columns that a spec has of its workspace ``w``.
OF_WORKSPACE = """w.signing_secret, w.default_webhook_url,
           CASE WHEN w.previous_secret_until > now() THEN w.previous_signing_secret END
               AS previous_signing_secret"""

# The payload is parsed here: the driver would refuse all jobs because of one.
_PAYLOAD = """CASE WHEN octet_length(CAST(j.payload AS text)) <= :most
                THEN CAST(j.payload AS text) END AS payload"""
_OF_JOB = ", ".join(_PAYLOAD if name == "payload" else f"j.{name}" for name in FOR_WORKERS)

_SPECS = text(f"""
    SELECT j.id, j.workspace_id, j.version, {_OF_JOB}, {OF_WORKSPACE}, {_STATE} AS state
      FROM jobs j JOIN workspaces w ON w.id = j.workspace_id
     WHERE j.id = ANY(CAST(:ids AS uuid[]))""")  # noqa: S608 - constants


class Specs:
    """Reads and caches specs. Many threads use it at once."""

    def __init__(self) -> None:
        # By the job's state, so that the spec of an earlier state is never found again.
        self._kept: dict[str, JobSpec] = {}

    def of(self, connection: Connection, execution_ids: Sequence[UUID]) -> dict[UUID, JobSpec]:
        """Return the specs for these executions by job id.

        The payload of a spec is None if it is long. :meth:`whole` reads it, so that a message
        costs no memory before its executions are claimed.
        """
        states = connection.execute(_STATES, {"ids": list(execution_ids)}).scalars().all()
        known = [self._kept.get(state) for state in states]
        found = {spec.id: spec for spec in known if spec is not None}
        unknown = [
            UUID(state.partition("/")[0])
            for state, spec in zip(states, known, strict=True)
            if spec is None
        ]
        if unknown:
            for row in connection.execute(_SPECS, {"ids": unknown, "most": MAX_KEPT_BYTES}):
                found[row.id] = self._keep(row)
        return found

    @staticmethod
    def whole(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, JobSpec]:
        """Return the specs of jobs with their payloads, however long."""
        rows = connection.execute(_SPECS, {"ids": list(job_ids), "most": _NO_BOUND})
        return {row.id: _spec_of_row(row) for row in rows}

    def _keep(self, row: Any) -> JobSpec:
        spec = _spec_of_row(row)
        # A previous secret ends by the clock, which does not change the state.
        if row.payload is not None and spec.previous_signing_secret is None:
            if len(self._kept) >= MAX_KEPT:
                # Among jobs that take turns, the oldest is the next one needed.
                self._kept.clear()
            self._kept[row.state] = spec
        return spec


_FIELDS = tuple(each.name for each in fields(JobSpec) if each.name != "policy")
_values = attrgetter(*_FIELDS)
# A dictionary is faster than a call of the enumeration.
_ENUMS = {
    each.name: {member.value: member for member in each.type}
    for each in fields(JobSpec)
    if isinstance(each.type, type) and issubclass(each.type, StrEnum)
}


def _spec_of_row(row: Any) -> JobSpec:
    return spec_of(dict(zip(_FIELDS, _values(row), strict=True), policy=policy_of(row)))


def spec_of(stored: Mapping[str, Any]) -> JobSpec:
    """Return the spec of fields as they are stored. Those that are missing have their defaults."""
    values = {**stored, "payload": parsed(stored["payload"])}
    for name, members in _ENUMS.items():
        if name in values:
            values[name] = members[values[name]]
    return JobSpec(**values)


def parsed(stored: str | None) -> Any:
    """Return the payload that a text of JSON holds.

    None if there is none, or if its numbers or its depth are too much for the parser.
    """
    try:
        return None if stored is None else json.loads(stored)
    except (ValueError, RecursionError):
        return None

"""The jobs of a file: which live job each one means, and its definition, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from chronos_api.jobs.definition import definitions
from chronos_api.jobs.service import first_status
from chronos_api.scopes.normal_forms import NormalForm
from chronos_api.scopes.plan import Target
from chronos_api.transactions import Session
from chronos_api.workspaces import mail_permission
from chronos_common import ids
from chronos_common.errors import Invalid, InvalidItems

#: The fields of a job of a file that are none of its definition.
OWN_FIELDS = frozenset({"key", "id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A job of the file, as it came. ``job_id`` is the live job that it adopts, if it says so."""

    key: str
    name: str
    job_id: UUID | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unclear:
    """A job of the file that may mean several live jobs, with the reason."""

    key: str
    fields: Mapping[str, Any]
    reason: str


class Meant:
    """Finds the live job that a job of a file means. Each one is meant once."""

    def __init__(
        self,
        owned: Mapping[str, RowMapping],
        beside: Sequence[RowMapping],
        *,
        scope: str,
        from_scope: str | None,
    ) -> None:
        self._owned = owned
        self._beside = {row["id"]: row for row in beside}
        self._in_scope = {row["id"]: row for row in owned.values()}
        self._scope = scope
        self._from_scope = from_scope
        self._taken: set[UUID] = set()

    def find(self, wanted: Wanted) -> RowMapping | Unclear | None:
        """Return the live job, None if there is none, or why it is not clear."""
        if wanted.key in self._owned:
            return self._owned[wanted.key]
        if wanted.job_id in self._in_scope:
            key = self._in_scope[wanted.job_id]["scope_key"]
            return self._unclear(wanted, f"The job of this id has the key {key!r} in this scope.")
        if wanted.job_id in self._beside:
            return self._take(wanted, self._beside[wanted.job_id])
        named = [row for row in self._beside.values() if row["name"] == wanted.name]
        free = [row for row in named if self._is_free(row)]
        if len(free) > 1:
            return self._unclear(
                wanted, "Several jobs have this name. Give the 'id' of the one to adopt."
            )
        if free:
            return self._take(wanted, free[0])
        return self._take(wanted, named[0]) if named else None

    def _is_free(self, row: RowMapping) -> bool:
        is_managed = row["scope"] is not None and row["scope"] != self._from_scope
        return not is_managed

    def _take(self, wanted: Wanted, row: RowMapping) -> RowMapping | Unclear:
        if not self._is_free(row):
            return self._unclear(
                wanted,
                f"The scope {row['scope']!r} manages the job of this name. Rename one of them, or "
                "take it over with 'from_scope'.",
            )
        if row["id"] in self._taken:
            return self._unclear(wanted, "Another job of the file adopts the job of this name.")
        self._taken.add(row["id"])
        return row

    @staticmethod
    def _unclear(wanted: Wanted, reason: str) -> Unclear:
        return Unclear(wanted.key, wanted.fields, reason)


def read(session: Session, wanted: Sequence[Wanted], meant: Meant) -> list[Target | Unclear]:
    """Return the jobs of a file, checked. Raises :class:`InvalidItems` with every wrong field."""
    reader = _TargetReader(session)
    found: list[Target | Unclear] = []
    faults = {}
    for index, each in enumerate(wanted):
        row = meant.find(each)
        if isinstance(row, Unclear):
            found.append(row)
            continue
        try:
            found.append(reader.target(each, row))
        except Invalid as error:
            faults[index] = error.fields
    if faults:
        raise InvalidItems(faults)
    return found


class _TargetReader:
    def __init__(self, session: Session) -> None:
        self._session = session

    def target(self, wanted: Wanted, row: RowMapping | None) -> Target:
        """Return the job with its definition. Raises :class:`Invalid`."""
        fields = {name: each for name, each in wanted.fields.items() if name not in OWN_FIELDS}
        job_id = row["id"] if row is not None else ids.new_id(self._session.now)
        definition = definitions.define(
            fields,
            job_id=job_id,
            now=self._session.now,
            stored=row,
            default_url=self._default_url if definitions.needs_default_url(fields) else None,
        )
        given = fields.get("status")
        status = None if given is None else first_status(given)
        mail_permission.check_job(self._session, definition)
        return Target(
            key=wanted.key,
            job_id=job_id,
            row=row,
            definition=definition,
            status=status,
            form=NormalForm.of_definition(definition, status),
        )

    @cached_property
    def _default_url(self) -> str | None:
        return definitions.default_url(self._session)

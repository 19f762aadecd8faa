"""Filters of jobs, as conditions of SQL.

A statement with these conditions has the parameter :data:`WORKSPACE`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, TextClause, any_, bindparam, func, literal, text

from chronos_common import ids
from chronos_common.clock import MILLISECOND
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.tables import jobs, schedules

#: A part of a text that is shorter than this is not in the index.
_GRAM = 3

WORKSPACE = bindparam("workspace_id", type_=jobs.c.workspace_id.type)


class LastOutcome(StrEnum):
    """The status of the latest finished execution of a job, or ``none``."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Conditions on the jobs of a workspace. Each one applies if it is set.

    ``as_of`` hides jobs that were created later. ``next_run_after`` is inclusive,
    ``next_run_before`` is not. Both mean active jobs only.
    """

    status: JobStatus | None = None
    type: str | None = None
    name: str | None = None
    tag: str | None = None
    search: str | None = None
    next_run_after: datetime | None = None
    next_run_before: datetime | None = None
    last_outcome: LastOutcome | None = None
    as_of: datetime | None = None

    @property
    def needs_schedule(self) -> bool:
        """Whether a statement has to join the schedules."""
        return bool(self.next_run_after or self.next_run_before)


# The same expression as in the index, on both sides, and nothing beside it. With other conditions
# the planner would begin with those: it does not know which words are rare in which workspace.
_HAS_TERMS = """
    SELECT found.id FROM jobs AS found
     WHERE job_terms(found.workspace_id, found.name || chr(10) || found.description, found.tags)
           @> job_terms(:workspace_id, :words, CAST(:tags AS text[]))"""


def conditions(filters: JobFilter, *, by_terms: bool = True) -> list[Any]:
    """Return the conditions of a statement on ``jobs``.

    With ``by_terms``, words and tags are looked up in their index. Without, they are compared with
    each job that the statement reads. With a condition on the next run, the statement has to join
    the schedules.
    """
    found: list[Any] = []
    if filters.status:
        found.append(jobs.c.status == filters.status)
    if filters.type:
        found.append(jobs.c.type == filters.type)
    if filters.name is not None:
        found.append(jobs.c.name == filters.name)
    if filters.search:
        found.append(_holds(jobs.c.name, filters.search))
        found[-1] |= _holds(jobs.c.description, filters.search)
    if by_terms and has_terms(filters) is not None:
        found.append(_bound(f"jobs.id = ANY(ARRAY({_HAS_TERMS}))", filters))
    elif filters.tag:
        found.append(literal(filters.tag) == any_(jobs.c.tags))
    if filters.as_of:
        found.append(jobs.c.id < ids.lowest_at(filters.as_of + MILLISECOND))
    if filters.needs_schedule:
        found += _next_run_conditions(filters)
    return found


def _holds(column: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """Return whether ``words`` are a part of a text, in small or capital letters."""
    return func.strpos(func.lower(column), func.lower(words)) > 0


def has_terms(filters: JobFilter) -> TextClause | None:
    """Return the query for the ids of jobs with these words and tags. None without any."""
    if not filters.tag and len(filters.search or "") < _GRAM:
        return None
    return _bound(_HAS_TERMS, filters)


def _bound(statement: str, filters: JobFilter) -> TextClause:
    return text(statement).bindparams(
        WORKSPACE, words=filters.search or "", tags=[filters.tag] if filters.tag else []
    )


def _next_run_conditions(filters: JobFilter) -> list[ColumnElement[bool]]:
    conditions = [schedules.c.active, jobs.c.status == JobStatus.ACTIVE]
    if filters.next_run_after:
        conditions.append(schedules.c.next_run_at >= filters.next_run_after)
    if filters.next_run_before:
        conditions.append(schedules.c.next_run_at < filters.next_run_before)
    return conditions

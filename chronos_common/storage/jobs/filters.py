"""Which jobs of a workspace a list means, as conditions of SQL.

The statement that they become a part of is told the workspace as :data:`WORKSPACE`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, TextClause, any_, bindparam, func, literal, text

from chronos_common import ids
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.tables import jobs, schedules

#: A part of a text that is shorter than this is not in the index.
_GRAM = 3

_MILLISECOND = timedelta(milliseconds=1)

WORKSPACE = bindparam("workspace_id", type_=jobs.c.workspace_id.type)


class LastOutcome(StrEnum):
    """How the latest finished execution of a job ended; ``none`` if there is none."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs of a workspace a list shows; each condition applies if it is set.

    ``as_of`` hides what was created later. ``next_run_after`` is inclusive, ``next_run_before``
    is not; both mean active jobs only.
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
        """Whether the schedule has to be looked at."""
        return bool(self.next_run_after or self.next_run_before)


# The same expression as in the index, on both sides, and nothing beside it: a planner that has
# other conditions to begin with would not know which words are rare in which workspace.
_HAS_TERMS = """
    SELECT found.id FROM jobs AS found
     WHERE job_terms(found.workspace_id, found.name || chr(10) || found.description, found.tags)
           @> job_terms(:workspace_id, :words, CAST(:tags AS text[]))"""


def conditions(chosen: JobFilter, *, by_terms: bool = True) -> list[Any]:
    """Return what the jobs of the workspace fulfil that ``chosen`` means.

    With ``by_terms``, words and tags are looked up in their index; without, each job that the
    statement comes by is looked at. With a condition on the next run, the statement has to join
    the schedules.
    """
    found: list[Any] = []
    if chosen.status:
        found.append(jobs.c.status == chosen.status)
    if chosen.type:
        found.append(jobs.c.type == chosen.type)
    if chosen.name is not None:
        found.append(jobs.c.name == chosen.name)
    if chosen.search:
        found.append(_holds(jobs.c.name, chosen.search))
        found[-1] |= _holds(jobs.c.description, chosen.search)
    if by_terms and has_terms(chosen) is not None:
        found.append(_bound(f"jobs.id = ANY(ARRAY({_HAS_TERMS}))", chosen))
    elif chosen.tag:
        found.append(literal(chosen.tag) == any_(jobs.c.tags))
    if chosen.as_of:
        found.append(jobs.c.id < ids.lowest_at(chosen.as_of + _MILLISECOND))
    if chosen.needs_schedule:
        found += _next_run_conditions(chosen)
    return found


def _holds(column: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """Return whether ``words`` are a part of a text, in small or capital letters."""
    return func.strpos(func.lower(column), func.lower(words)) > 0


def has_terms(chosen: JobFilter) -> TextClause | None:
    """Return the query for the ids of jobs with these words and tags; None if there are none."""
    if not chosen.tag and len(chosen.search or "") < _GRAM:
        return None
    return _bound(_HAS_TERMS, chosen)


def _bound(statement: str, chosen: JobFilter) -> TextClause:
    return text(statement).bindparams(
        WORKSPACE, words=chosen.search or "", tags=[chosen.tag] if chosen.tag else []
    )


def _next_run_conditions(chosen: JobFilter) -> list[ColumnElement[bool]]:
    conditions = [schedules.c.active, jobs.c.status == JobStatus.ACTIVE]
    if chosen.next_run_after:
        conditions.append(schedules.c.next_run_at >= chosen.next_run_after)
    if chosen.next_run_before:
        conditions.append(schedules.c.next_run_at < chosen.next_run_before)
    return conditions

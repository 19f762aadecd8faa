"""A filter of a list is a field of its query and a condition of its statement, or neither."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column
from sqlalchemy.sql import visitors

import chronos_api.app  # noqa: F401 - loads every query
from chronos_api.audit.schemas import AuditQuery, audit_filter
from chronos_api.executions.schemas import ExecutionsQuery, history_filter
from chronos_api.fields.pagination import PageQuery
from chronos_api.jobs.schemas import JobChoice, JobsQuery, JobTraits, job_filter
from chronos_common.domain.statuses import Status
from chronos_common.storage import audit
from chronos_common.storage.audit import AuditFilter
from chronos_common.storage.executions import filters as history_filters
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.jobs import filters
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.jobs.schedules import DueFilter
from chronos_common.storage.tables import executions

AT = datetime(2026, 11, 30, tzinfo=UTC)

#: These say which part of a list is asked for, and in which order.
PAGING = {"page", "limit", "cursor", "sort"}
#: Where a part begins, which a cursor says.
PLACE = {"before", "after"}

#: A value of each condition.
VALUES: dict[str, Any] = {
    "http_statuses": (500, 599),
    "min_duration_ms": 5,
    "min_drift_ms": 5,
    "statuses": (Status.FAILED,),
    "open_failures": True,
    "search": "weekly",
    **dict.fromkeys(("job_id", "subject_id", "user_id", "key_id"), UUID(int=7)),
    **dict.fromkeys(("since", "until", "as_of", "next_run_after", "next_run_before"), AT),
}


def list_queries(base: type[PageQuery] = PageQuery) -> Iterator[type[PageQuery]]:
    for query in base.__subclasses__():
        if query.conditions is not None:
            yield query
        yield from list_queries(query)


def names(kind: Any) -> set[str]:
    return {each.name for each in fields(kind)}


def loaded(query: type[Any]) -> set[str]:
    """Return the names under which a query's fields are loaded."""
    return {field.attribute or name for name, field in query().fields.items()}


@pytest.mark.parametrize("query", [*list_queries()], ids=lambda query: query.__name__)
def test_every_field_of_a_query_is_a_condition(query: type[PageQuery]) -> None:
    assert loaded(query) - PAGING <= names(query.conditions)


def test_every_field_of_a_choice_of_jobs_is_a_condition() -> None:
    assert loaded(JobChoice) <= names(JobFilter)
    assert loaded(JobTraits) == names(DueFilter)


@pytest.mark.parametrize("query", [JobsQuery, ExecutionsQuery, AuditQuery])
def test_every_condition_is_a_field_of_the_query(query: type[PageQuery]) -> None:
    assert names(query.conditions) - PLACE <= loaded(query)


@pytest.mark.parametrize(
    ("make", "kind"),
    [(job_filter, JobFilter), (history_filter, HistoryFilter), (audit_filter, AuditFilter)],
)
def test_a_query_sets_every_condition(make: Callable[..., Any], kind: type[Any]) -> None:
    query = {name: VALUES.get(name, "failed") for name in names(kind) - PLACE}
    made = make(query)
    assert {name: getattr(made, name) for name in query} == query


def history_conditions(chosen: HistoryFilter) -> list[Any]:
    return [
        *history_filters._span(chosen, executions.c.id),
        *history_filters.outcome_conditions(chosen, executions),
    ]


def statement(kind: type[Any]) -> Callable[[Any], list[Any]]:
    """Return the function that makes the conditions of a statement."""
    return {
        JobFilter: filters.conditions,
        HistoryFilter: history_conditions,
        AuditFilter: lambda chosen: audit._conditions(UUID(int=1), chosen),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in (JobFilter, HistoryFilter, AuditFilter)
        # How a job's latest execution ended is not a condition, but a column of its own. The job
        # of executions takes the place of their workspace.
        for name in sorted(names(kind) - PLACE - {"last_outcome", "job_id"})
    ],
)
def test_every_condition_narrows_the_statement(kind: type[Any], name: str) -> None:
    conditions = statement(kind)
    narrowed = kind(**{name: VALUES.get(name, "failed")})
    assert len(conditions(narrowed)) > len(conditions(kind()))


@pytest.mark.parametrize("name", sorted(names(JobFilter) - {"last_outcome"}))
def test_a_condition_on_schedules_joins_them(name: str) -> None:
    """Fails if ``needs_schedule`` forgets a condition: each job would come many times."""
    narrowed = JobFilter(**{name: VALUES.get(name, "failed")})
    tables = {
        column.table.name
        for condition in filters.conditions(narrowed)
        for column in visitors.iterate(condition)
        if isinstance(column, Column)
    }
    assert ("schedules" in tables) == narrowed.needs_schedule

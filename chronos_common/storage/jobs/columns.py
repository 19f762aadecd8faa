"""Which column holds which field of a job's definition.

A field is stored in the column of its name, in ``jobs`` or in ``schedules``. A retry policy and a
schedule have a column for each of their own fields.
"""

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Table

from chronos_common.domain.jobs import JobDefinition, WorkerFields
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.storage.tables import jobs, schedules

_PATHS = {
    **{each.name: each.name for each in fields(JobDefinition)},
    **{each.name: f"policy.{each.name}" for each in fields(RetryPolicy)},
    **{each.name: f"schedule.{each.name}" for each in fields(Schedule)},
}


def _paths(table: Table) -> Mapping[str, str]:
    return {each.name: _PATHS[each.name] for each in table.c if each.name in _PATHS}


_OF_JOB = {name: attrgetter(path) for name, path in _paths(jobs).items()}
_OF_SCHEDULE = {name: attrgetter(path) for name, path in _paths(schedules).items()}

_WORKER_FIELDS = {each.name for each in fields(WorkerFields)}

#: The columns of ``jobs`` that hold the fields that workers need.
FOR_WORKERS = tuple(
    name for name, path in _paths(jobs).items() if path.partition(".")[0] in _WORKER_FIELDS
)


def of_job(definition: JobDefinition) -> dict[str, Any]:
    """Return the values of a definition that the row of ``jobs`` holds."""
    return {name: _stored(get(definition)) for name, get in _OF_JOB.items()}


def of_schedule(definition: JobDefinition) -> dict[str, Any]:
    """Return the values of a definition that the row of ``schedules`` holds."""
    return {name: get(definition) for name, get in _OF_SCHEDULE.items()}


def _stored(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


#: The columns that name a schedule's instants, in the order of the fields of :class:`Schedule`.
INSTANTS = tuple(each.name for each in fields(Schedule) if each.name != "jitter")

#: The same columns of ``schedules s``, with the bound of the jitter.
INSTANTS_SQL = ", ".join(f"s.{name}" for name in (*INSTANTS, "jitter_seconds"))

_policy = attrgetter(*(each.name for each in fields(RetryPolicy)))


def policy_of(row: Any) -> RetryPolicy:
    """Return the retry policy that a row of ``jobs`` holds."""
    # By position, in the order of the fields: this is done for each new job of a worker.
    max_attempts, retry_delays, *others = _policy(row)
    return RetryPolicy(max_attempts, tuple(retry_delays), *others)

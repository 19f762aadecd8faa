"""A field of a job is written once: its column, the worker's spec and the API follow from it."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from chronos_api.http.json_body import made
from chronos_api.jobs.schemas import JobAnswer, JobFields
from chronos_common.domain.jobs import JobDefinition, WorkerFields
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind
from chronos_common.storage.jobs import columns

SCHEDULE = Schedule(ScheduleKind.ONCE, anchor=datetime(2026, 3, 1, tzinfo=UTC))
DEFINITION = JobDefinition(name="Ping", payload={"url": "http://x.test/"}, schedule=SCHEDULE)


def names(kind: Any) -> set[str]:
    return {each.name for each in fields(kind)}


def test_every_field_of_a_definition_has_one_column() -> None:
    of_job, of_schedule = columns.of_job(DEFINITION), columns.of_schedule(DEFINITION)
    plain = names(JobDefinition) - {"policy", "schedule"}
    # The offset follows from jitter_seconds and the job's id.
    parts = names(RetryPolicy) | names(Schedule) - {"jitter"}
    assert of_job.keys() | of_schedule.keys() == plain | parts
    assert not of_job.keys() & of_schedule.keys()


def test_a_column_holds_the_value_of_its_field() -> None:
    stored = columns.of_job(DEFINITION) | columns.of_schedule(DEFINITION)
    assert stored["name"] == "Ping"
    assert stored["retry_delays"] == list(DEFINITION.policy.retry_delays)
    assert stored["anchor"] == SCHEDULE.anchor
    assert stored["notify"] is None


def test_workers_read_every_field_that_they_need() -> None:
    assert set(columns.FOR_WORKERS) == names(WorkerFields) - {"policy"} | names(RetryPolicy)


def test_an_answer_shows_every_field_that_a_user_writes() -> None:
    assert made(JobFields).fields.keys() <= made(JobAnswer).fields.keys()


def test_a_definition_holds_every_field_that_a_user_writes() -> None:
    """Fails if a field of a request has no place: its value would be taken and forgotten."""
    stored = columns.of_job(DEFINITION).keys() | columns.of_schedule(DEFINITION).keys()
    # The kind, its expression and its instant have names of their own, and the others are state.
    others = {"schedule_type", "cron_expression", "run_at", "job_type", "status"}
    assert made(JobFields).fields.keys() - others <= stored


@pytest.mark.parametrize("name", sorted(made(JobFields).fields))
def test_the_documented_default_of_a_field_is_the_default_of_a_definition(name: str) -> None:
    documented = made(JobFields).fields[name].metadata.get("default")
    if documented is None:
        return
    stored = columns.of_job(DEFINITION) | columns.of_schedule(DEFINITION)
    assert documented == stored[name]

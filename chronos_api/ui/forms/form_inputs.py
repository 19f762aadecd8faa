"""Inputs of the form of a job that follow from the fields of the API.

Most fields have an input of their own in the form's template. Each of the others gets one here, so
that a form never loses a field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from marshmallow import fields

from chronos_api.fields.fields import Instant, Number, OneOf, Text, Whole
from chronos_api.http.json_body import made
from chronos_api.jobs.definition.policy_schemas import PolicyFields
from chronos_api.jobs.schemas import JobFields, ScheduleFields
from chronos_api.ui import definitions

#: Fields with an input of their own.
OWN: Final = frozenset(
    {
        *("name", "description", "tags", "type", "payload", "notify"),
        *("schedule_type", "cron_expression", "interval_seconds", "run_at", "timezone"),
        *("day_match", "jitter_seconds", "max_runs", "shadow"),
        *("max_attempts", "retry_delays", "timeout_seconds"),
        *("overlap_policy", "misfire_policy", "misfire_grace_seconds"),
    }
)
#: Fields that no form has: one follows from the schedule, and buttons change the other.
NONE: Final = frozenset({"job_type", "status"})


class Section(StrEnum):
    """A part of the form."""

    SCHEDULE = "schedule"
    FAILURE = "failure"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class FormInput:
    """An input for a field of the API. Only a choice has ``options``."""

    name: str
    section: Section
    label: str
    help: str
    is_number: bool = False
    options: Sequence[str] = ()


def inputs_of(known: Mapping[str, fields.Field[Any]]) -> Iterator[FormInput]:
    """Yield the inputs of the fields that have none of their own, in the order of the API."""
    for name, field in known.items():
        if name in OWN | NONE:
            continue
        if not isinstance(field, Number | Whole | OneOf | Text | Instant):
            raise TypeError(
                f"The form of a job has no input for {name!r}, a {type(field).__name__}: give it "
                "one in job_form.html, and name it in form_inputs.OWN."
            )
        yield FormInput(
            name,
            _section(name),
            definitions.name_of(name),
            field.metadata.get("description", ""),
            is_number=isinstance(field, Number | Whole),
            options=[each for each in field.metadata.get("enum", ()) if each],
        )


def _section(name: str) -> Section:
    if name in made(ScheduleFields).fields:
        return Section.SCHEDULE
    return Section.FAILURE if name in made(PolicyFields).fields else Section.REST


#: The inputs by the names of their fields.
INPUTS: Final = {each.name: each for each in inputs_of(made(JobFields).fields)}


def inputs_in(section: str) -> list[FormInput]:
    """Return the inputs of a part of the form."""
    return [each for each in INPUTS.values() if each.section == section]

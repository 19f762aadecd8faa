"""Every field of a job has an input on its form, its own or one that follows from the API."""

import re

import pytest
from marshmallow import fields

from chronos_api.fields.fields import Flag, Instant, Number, OneOf, Text
from chronos_api.jobs.schemas import JobFields
from chronos_api.ui import definitions
from chronos_api.ui.forms import form_inputs, job_form
from chronos_api.ui.forms.form_inputs import NONE, OWN, Section, inputs_of
from chronos_common.domain.statuses import Status
from repository import ROOT

TEMPLATE = (ROOT / "chronos_api/ui/templates/ui/job_form.html").read_text()
#: The payload has several inputs, whose names are those of its parts.
NAMES = set(re.findall(r"name=\"(\w+)\"|(?:field|worded|choice)\('(\w+)'", TEMPLATE))


def test_the_inputs_of_the_template_are_those_that_are_named() -> None:
    """Fails if a name stays in ``OWN`` whose input is gone: a form would lose the field."""
    assert {own or called for own, called in NAMES} >= OWN
    assert set(JobFields().fields) >= OWN | NONE


def test_fields_without_an_input_of_their_own_get_one() -> None:
    assert set(form_inputs.INPUTS) == set(JobFields().fields) - OWN - NONE
    assert form_inputs.INPUTS.keys() <= set(job_form.RESETS)
    shown = [each.name for section in Section for each in form_inputs.inputs_in(section)]
    assert sorted(shown) == sorted(form_inputs.INPUTS)
    assert {f"further_fields('{section}')" for section in Section} == set(
        re.findall(r"further_fields\('\w+'\)", TEMPLATE)
    )


def test_a_new_field_has_an_input_of_its_kind_and_a_name() -> None:
    known: dict[str, fields.Field] = {
        "runbook_url": Text(longest=9, metadata={"description": "Where to read"}),
        "weight": Number(low=0, high=1),
        "last_status": OneOf(Status, allow_none=True),
        "noted_at": Instant(),
        "ends_at": Instant(),
        "retry_jitter": Number(low=0, high=1),
    }
    runbook, weight, status, noted, ends, jitter = inputs_of(known)
    assert (runbook.label, runbook.help) == ("Runbook url", "Where to read")
    assert [each.is_number for each in (runbook, weight, status)] == [False, True, False]
    assert list(status.options) == list(Status)
    assert [each.section for each in (noted, ends, jitter)] == ["rest", "schedule", "failure"]


def test_a_field_that_no_input_can_hold_needs_one_of_its_own() -> None:
    with pytest.raises(TypeError, match="no input for 'is_loud', a Flag: give it one in job_form"):
        list(inputs_of({"is_loud": Flag()}))


def test_a_value_of_a_new_field_is_shown_with_its_name() -> None:
    job = dict.fromkeys([*JobFields().fields], None) | {"max_attempts": 1, "runbook_url": "a"}
    assert list(definitions.facts(job, further=["runbook_url"]))[-1] == definitions.Fact(
        "Runbook url", "a"
    )

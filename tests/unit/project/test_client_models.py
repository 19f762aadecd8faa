"""The client's dataclasses have every field that the API answers."""

from dataclasses import fields

import pytest

from chronos_api.bulk.schemas import BulkChangeDetail
from chronos_api.device_logins.schemas import DeviceCodesAnswer
from chronos_api.executions.schemas import AttemptAnswer, ExecutionDetail, LogLine
from chronos_api.explanations.schemas import Why
from chronos_api.jobs.previews.schemas import (
    ClockChangeAnswer,
    Occurrence,
    Preview,
    ReplacementAnswer,
)
from chronos_api.jobs.schemas import JobDetail, JobFields
from chronos_api.recovery.schemas import FailureGroup, ReplayDetail
from chronos_api.workspaces.key_schemas import NewKeyAnswer
from chronos_api.workspaces.schemas import Member
from chronos_client import models

ANSWERS = {
    models.Job: JobDetail,
    models.Execution: ExecutionDetail,
    models.ExecutionAttempt: AttemptAnswer,
    models.FailureCount: FailureGroup,
    models.Replay: ReplayDetail,
    models.BulkChange: BulkChangeDetail,
    models.LogEntry: LogLine,
    models.WhyAnswer: Why,
    models.SchedulePreview: Preview,
    models.ScheduleInstant: Occurrence,
    models.ScheduleClockChange: ClockChangeAnswer,
    models.ScheduleReplacement: ReplacementAnswer,
    models.ApiKey: NewKeyAnswer,
    models.DeviceCodes: DeviceCodesAnswer,
    models.WorkspaceMember: Member,
}


@pytest.mark.parametrize("model", ANSWERS, ids=lambda model: model.__name__)
def test_the_client_reads_every_field_of_an_answer(model: type) -> None:
    """Fails if chronos_client/models.py does not follow the schemas.

    ``tests/integration/api/client/test_typed_client.py`` compares the types.
    """
    known = {each.name for each in fields(model)} - {"document"}
    assert known == set(ANSWERS[model]().fields)


def test_a_definition_has_the_fields_that_a_request_has() -> None:
    """Fails if a new field of an answer is state, and not in ``NOT_DEFINED``."""
    state = {"status", "job_type"}
    assert set(JobDetail().fields) - models.NOT_DEFINED == set(JobFields().fields) - state

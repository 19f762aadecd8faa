"""Requests for deleted jobs, and answers about them."""

from enum import StrEnum

from marshmallow import fields

from chronos_api.fields.base import Answer, Strict
from chronos_api.fields.fields import Instant, OneOf
from chronos_api.fields.pagination import PageQuery, page_of
from chronos_api.jobs.definition.payload_schemas import JobType


class RestoredStatus(StrEnum):
    """The states in which a job comes back."""

    ACTIVE = "active"
    PAUSED = "paused"


class Restoration(Strict):
    """How a job comes back."""

    status = OneOf(
        RestoredStatus,
        load_default=RestoredStatus.PAUSED,
        metadata={
            "default": "paused",
            "description": "active follows the schedule from now on. A job whose schedule has no "
            "instant left is completed instead",
        },
    )


class DeletedJobsQuery(PageQuery):
    """Which deleted jobs to list."""


class DeletedJob(Answer):
    """A job that was deleted."""

    id = fields.UUID()
    name = fields.String()
    description = fields.String()
    type = OneOf(JobType)
    tags = fields.List(fields.String())
    created_at = Instant()
    deleted_at = Instant()


DeletedJobPage = page_of(DeletedJob, "DeletedJobPage")

"""Changes of many jobs at once."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from chronos_api.bulk import changes, creation
from chronos_api.bulk.changes import Action, ItemOutcome
from chronos_api.fields.base import Answer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import BoundedList, Instant, Name, OneOf
from chronos_api.jobs.schemas import JobChoice, JobFields, PauseFields
from chronos_common.domain import jobs as bounds
from chronos_common.domain.statuses import JobStatus


class BulkJobs(Strict):
    """Jobs to be created, all of them or none."""

    jobs = BoundedList(
        fields.Nested(JobFields),
        required=True,
        validate=Length(1, creation.MAX_JOBS, error="Give {min} to {max} jobs."),
        metadata={"description": "All of them are created, or none"},
    )


class RawBulkJobs(Strict):
    """The same, with jobs that are checked one by one, so that errors can name each."""

    jobs = BoundedList(
        fields.Raw(allow_none=True),
        required=True,
        validate=Length(1, creation.MAX_JOBS, error="Give {min} to {max} jobs."),
    )


class CreatedJob(Answer):
    """A job that was created."""

    id = fields.UUID()
    name = fields.String()
    status = OneOf(JobStatus)
    next_run_at = Instant(allow_none=True)


class BulkCreated(Answer):
    """The jobs that were created, in the order in which they were given."""

    items = fields.List(fields.Nested(CreatedJob))
    total = computed(fields.Integer(), lambda created: len(created["items"]))


_MOST = changes.MAX_JOBS


class BulkRequest(Strict):
    """The jobs to change, by their ids or by a filter. With ``dry_run`` nothing changes."""

    ids = BoundedList(
        fields.UUID(error_messages={"invalid_uuid": "Must be the id of a job."}),
        validate=Length(1, _MOST, error="Give {min} to {max} ids."),
        metadata={"description": "The jobs that are meant"},
    )
    filter = fields.Nested(
        JobChoice,
        metadata={"description": f"Instead of ids. If more than {_MOST} jobs match, it is 422"},
    )
    dry_run = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Return the changes that would be made, and make none"},
    )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_choice(self, _data: object, given: dict[str, Any], **_: object) -> None:
        if ("ids" in given) == ("filter" in given):
            raise ValidationError("Give either ids or filter.", "ids")


class BulkPause(BulkRequest, PauseFields):
    """Which jobs to pause, why, and for how long."""


class BulkTags(BulkRequest):
    """Which jobs, and which tags to add and to remove."""

    add = BoundedList(
        Name(longest=bounds.MAX_TAG_LENGTH),
        load_default=list,
        validate=Length(max=bounds.MAX_TAGS, error="At most {max} tags."),
        metadata={"description": "Tags that the jobs get"},
    )
    remove = BoundedList(
        Name(longest=bounds.MAX_TAG_LENGTH),
        load_default=list,
        validate=Length(max=bounds.MAX_TAGS, error="At most {max} tags."),
        metadata={"description": "Tags that the jobs lose"},
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_tags(self, data: dict[str, Any], **_: object) -> None:
        if not data["add"] and not data["remove"]:
            raise ValidationError("Give tags to add or to remove.", "add")


class BulkItem(ValueAnswer):
    """How the change of one job ended."""

    id = fields.UUID(attribute="job_id")
    result = OneOf(ItemOutcome, attribute="outcome")
    reason = fields.String(allow_none=True, metadata={"description": "Of a conflict"})
    execution_id = fields.UUID(
        allow_none=True, metadata={"description": "Of a job that was executed"}
    )


class BulkResult(ValueAnswer):
    """The result of a change of many jobs, or of its dry run."""

    action = OneOf(Action)
    dry_run = fields.Boolean()
    matched = fields.Integer(metadata={"description": "How many jobs are meant"})
    matched_is_exact = fields.Boolean(
        metadata={"description": "false if more than matched: counting stops"}
    )
    limit = computed(
        fields.Integer(metadata={"description": "How many at once at most"}),
        lambda _: changes.MAX_JOBS,
    )
    changed = fields.Integer(metadata={"description": "How many of the items"})
    items = fields.List(
        fields.Nested(BulkItem),
        metadata={"description": f"Each job's result. Of a dry run, the first {_MOST}"},
    )

"""Changes of many jobs at once."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from chronos_api.bulk import changes, creation, runner
from chronos_api.bulk.changes import Action, ItemOutcome
from chronos_api.fields.base import Answer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import BoundedList, Instant, Name, OneOf, Whole
from chronos_api.fields.pagination import PageQuery, page_of
from chronos_api.jobs.schemas import JobChoice, JobFields, PauseFields
from chronos_common.domain import jobs as bounds
from chronos_common.domain.statuses import JobStatus
from chronos_common.storage.bulk_changes import BulkState


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
        metadata={
            "description": f"Instead of ids. If more than {_MOST} jobs match, it is 422, unless "
            "in_background is true"
        },
    )
    dry_run = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Return the changes that would be made, and make none"},
    )
    in_background = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={
            "description": f"Begin a bulk change of up to {changes.MAX_MATCHED:,} jobs, which "
            "goes on by itself, and answer 202 with it"
        },
    )
    matched = Whole(
        low=1,
        high=changes.MAX_MATCHED,
        metadata={
            "description": "matched of the dry run. In the background: if another number matches "
            "now, nothing begins, and the answer is a 409"
        },
    )

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _check_choice(self, _data: object, given: dict[str, Any], **_: object) -> None:
        if ("ids" in given) == ("filter" in given):
            raise ValidationError("Give either ids or filter.", "ids")

    @validates_schema(skip_on_field_errors=True)
    def _check_background(self, data: dict[str, Any], **_: object) -> None:
        if "matched" in data and not data["in_background"]:
            raise ValidationError(
                "Give it together with in_background, or leave it out.", "matched"
            )


class BulkPause(BulkRequest, PauseFields):
    """Which jobs to pause, why, and for how long."""


class TagFields(Strict):
    """Tags to add and to remove."""

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


class BulkTags(BulkRequest, TagFields):
    """Which jobs, and which tags to add and to remove."""


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
        fields.Integer(metadata={"description": "How many at once at most, unless in_background"}),
        lambda _: changes.MAX_JOBS,
    )
    changed = fields.Integer(metadata={"description": "How many of the items"})
    items = fields.List(
        fields.Nested(BulkItem),
        metadata={"description": f"Each job's result. Of a dry run, the first {_MOST}"},
    )


class RefusedJob(Answer):
    """A job that a bulk change could not change."""

    id = fields.UUID()
    reason = fields.String()


def _count(outcome: ItemOutcome, meaning: str) -> fields.Field[Any]:
    """Return the field with the number of jobs whose result is ``outcome``."""
    return computed(
        fields.Integer(metadata={"description": meaning}),
        lambda row: row["results"].get(outcome.value, 0),
    )


class BulkChangeAnswer(Answer):
    """A change of many jobs that goes on by itself."""

    id = fields.UUID()
    action = OneOf(Action)
    state = OneOf(BulkState)
    stopped_because = fields.String(
        allow_none=True, metadata={"description": "Why Chronos has ended it by itself"}
    )
    filter = fields.Dict(allow_none=True, metadata={"description": "null for ids"})
    matched = fields.Integer(
        metadata={"description": "How many jobs are meant: those that matched at the start"}
    )
    handled = fields.Integer(metadata={"description": "How many of them have their result"})
    changed = _count(ItemOutcome.CHANGED, "How many of these have changed")
    unchanged = _count(ItemOutcome.UNCHANGED, "How many were so already")
    conflicts = _count(ItemOutcome.CONFLICT, "How many could not be changed")
    not_found = _count(ItemOutcome.NOT_FOUND, "How many were deleted meanwhile")
    created_by = fields.UUID()
    created_at = Instant()
    updated_at = Instant()
    finished_at = Instant(allow_none=True)


class BulkChangeDetail(BulkChangeAnswer):
    """A bulk change, and why some jobs could not be changed."""

    reasons = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "The number of conflicts by their reason"},
    )
    sample = fields.List(
        fields.Nested(RefusedJob),
        metadata={"description": f"Some of the conflicts, up to {runner.MAX_SAMPLE}"},
    )


class BulkChangesQuery(PageQuery):
    """Which bulk changes to list."""


BulkChangePage = page_of(BulkChangeAnswer, "BulkChangePage")

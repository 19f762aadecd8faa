"""Files of jobs as code, as they are sent, and the plan of an apply."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length, Regexp

from chronos_api.fields.base import Strict, ValueAnswer
from chronos_api.fields.fields import BoundedList, Instant, Name, OneOf, Text, Whole
from chronos_api.http.json_body import flatten, made
from chronos_api.jobs.schemas import JobFields
from chronos_api.scopes import guards
from chronos_api.scopes.plan import JobVerdict, OnDrift, Step
from chronos_api.scopes.targets import OWN_FIELDS, Wanted
from chronos_common.domain import jobs as bounds
from chronos_common.errors import InvalidItems

MAX_SCOPE_LENGTH = 100

_JOBS = Length(0, guards.MAX_JOBS, error="Give at most {max} jobs.")


class ScopeJob(JobFields):
    """A job of a file. A field that is not given has its default."""

    key = Name(
        longest=bounds.MAX_NAME_LENGTH,
        metadata={
            "description": "The job's identity in its scope: a new name with the same key renames "
            "the job. By default the name"
        },
    )
    id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={
            "description": "The job to adopt, if several have its name. It is not looked at where "
            "there is no such job, or once the scope has the key"
        },
    )


class _Options(Strict):
    """How a file is applied."""

    scope = Name(
        longest=MAX_SCOPE_LENGTH,
        required=True,
        metadata={
            "description": "The name of the set of jobs that the file manages",
            "examples": ["shop-backend"],
        },
    )
    prune = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Delete the jobs of the scope that the file lacks"},
    )
    prune_max = Whole(
        low=0,
        high=guards.MAX_JOBS,
        metadata={
            "description": "How many jobs may be deleted. By default a fifth of the scope's, at "
            f"least {guards.FREELY_DELETED}. More is a 409, so that no empty file empties a scope"
        },
    )
    on_drift = OneOf(
        OnDrift,
        load_default=OnDrift.REFUSE,
        metadata={
            "description": "What happens to jobs changed elsewhere since the last apply. "
            "refuse applies nothing, overwrite makes them as the file has them, keep leaves them"
        },
    )
    from_scope = Name(
        longest=MAX_SCOPE_LENGTH,
        metadata={
            "description": "The former name of the scope: its jobs are adopted where the names "
            "are the same"
        },
    )
    dry_run = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={"description": "Return the plan, and change nothing"},
    )
    plan = Text(
        longest=64,
        validate=Regexp("^[0-9a-f]{64}$", error="Must be the plan of an answer."),
        metadata={"description": "The plan of a dry run. 412 if it would be another one now"},
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_emptiness(self, data: dict[str, Any], **_: object) -> None:
        if not data["jobs"] and not (data["prune"] and "prune_max" in data):
            raise ValidationError(
                "There is none. To delete every job of the scope, give prune and prune_max.",
                "jobs",
            )


class ScopeFile(_Options):
    """A file of jobs as code, and how it is applied."""

    jobs = BoundedList(
        fields.Nested(ScopeJob),
        required=True,
        validate=_JOBS,
        metadata={"description": "All of them are applied, or none"},
    )


class RawScopeFile(_Options):
    """The same, with jobs that are checked one by one, so that errors can name each."""

    jobs = BoundedList(fields.Raw(allow_none=True), required=True, validate=_JOBS)


_ANY_VALUE = [
    *({"type": name} for name in ("string", "number", "boolean", "null")),
    {"type": "array", "items": {}},
    {"type": "object", "additionalProperties": True},
]


class DifferenceAnswer(ValueAnswer):
    """A field that differs. Secrets are redacted, and long values left out."""

    field = fields.String(metadata={"examples": ["cron_expression", "payload.url"]})
    before = fields.Raw(metadata={"anyOf": _ANY_VALUE, "description": "Of the live job"})
    after = fields.Raw(metadata={"anyOf": _ANY_VALUE, "description": "Of the file"})


class PlanItem(ValueAnswer):
    """A job of the file or of the scope."""

    key = fields.String()
    name = fields.String()
    id = fields.UUID(allow_none=True, metadata={"description": "null if there is no job yet"})
    verdict = OneOf(JobVerdict)
    action = OneOf(Step, metadata={"description": "What is done, or would be"})
    differences = fields.List(fields.Nested(DifferenceAnswer))
    reason = fields.String(allow_none=True, metadata={"description": "Of a job that is unclear"})
    changed_by = fields.String(
        allow_none=True, metadata={"description": "Who changed the job elsewhere, if it is known"}
    )
    changed_at = Instant(allow_none=True, metadata={"description": "When that was"})


class PlanAnswer(ValueAnswer):
    """The jobs of the file in its order, and then those of the scope that it lacks."""

    scope = fields.String()
    dry_run = fields.Boolean()
    plan = fields.String(
        attribute="hash",
        metadata={"description": "Send it with the apply, so that this plan is applied or none"},
    )
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "The number of jobs by verdict"},
    )
    items = fields.List(fields.Nested(PlanItem))


class _Identity(Strict):
    """The fields by which a job of a file is found."""

    key = ScopeJob._declared_fields["key"]  # noqa: SLF001 - a schema's fields
    id = ScopeJob._declared_fields["id"]  # noqa: SLF001 - a schema's fields
    name = JobFields._declared_fields["name"]  # noqa: SLF001 - a schema's fields


def wanted_of(bodies: list[Any]) -> list[Wanted]:
    """Return the jobs of a file by their keys, not checked otherwise.

    Raises :class:`InvalidItems` for jobs whose key, name or id is wrong, and for a second job
    with the same key.
    """
    found: list[Wanted] = []
    keys: dict[str, int] = {}
    faults: dict[int, dict[str, list[str]]] = {}
    for index, body in enumerate(bodies):
        if not isinstance(body, Mapping):
            faults[index] = {"": ["Must be an object."]}
            continue
        try:
            identity = made(_Identity).load(
                {k: body[k] for k in (*OWN_FIELDS, "name") if k in body}
            )
        except ValidationError as error:
            faults[index] = flatten(error.messages)
            continue
        key = identity.get("key", identity["name"])
        first = keys.setdefault(key, index)
        if first != index:
            text = f"Job {first} of the file has this key already, counted from 0; give another."
            faults[index] = {"key": [text]}
        job_id: UUID | None = identity.get("id")
        found.append(Wanted(key=key, name=identity["name"], job_id=job_id, fields=body))
    if faults:
        raise InvalidItems(faults)
    return found

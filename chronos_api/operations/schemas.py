"""Answers about the service itself."""

from marshmallow import fields

from chronos_api.fields.base import Answer, ValueAnswer


class Health(Answer):
    """A sign that this process answers."""

    status = fields.String(required=True, metadata={"enum": ["ok"]})
    version = fields.String(required=True)


class ReadinessCheck(ValueAnswer):
    """One thing that is needed."""

    name = fields.String(
        required=True,
        metadata={"enum": ["database", "schema", "scheduler", "worker", "redis", "queues"]},
    )
    ok = fields.Boolean(required=True)
    detail = fields.String(required=True)


class Readiness(ValueAnswer):
    """Whether jobs run, and the checks that say why not."""

    status = fields.String(required=True, metadata={"enum": ["ready", "not ready"]})
    timezone_database = fields.String(
        required=True,
        metadata={"description": "The release of the IANA time zone database, like 2026f"},
    )
    checks = fields.List(fields.Nested(ReadinessCheck), required=True)

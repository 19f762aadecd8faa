"""Routes about the service itself: health, readiness, metrics."""

from flask import Response, current_app, jsonify
from marshmallow import fields
from prometheus_client import CONTENT_TYPE_LATEST

from chronos_api.fields.base import Answer, ValueAnswer
from chronos_api.http.blueprint import Blueprint
from chronos_api.operations import metrics, readiness
from chronos_api.security.access import public
from chronos_api.security.rate_limits import Rate
from chronos_common import __version__

blueprint = Blueprint("service", __name__, description="The service itself")


class Health(Answer):
    """A sign that this process answers."""

    status = fields.String(metadata={"enum": ["ok"]})
    version = fields.String()


class ReadinessCheck(ValueAnswer):
    """One thing that is needed."""

    name = fields.String(
        metadata={"enum": ["database", "schema", "scheduler", "worker", "redis", "queues"]}
    )
    ok = fields.Boolean()
    detail = fields.String()


class Readiness(ValueAnswer):
    """Whether jobs run, and the checks that say why not."""

    status = fields.String(metadata={"enum": ["ready", "not ready"]})
    timezone_database = fields.String(
        metadata={"description": "The release of the IANA time zone database, like 2026f"}
    )
    checks = fields.List(fields.Nested(ReadinessCheck))


@blueprint.route("/api/v1/health", "GET")
@blueprint.answers(200, Health)
@public(Rate.NONE)
def get_health() -> Response:
    """Answer, and check nothing else."""
    return _alive()


@blueprint.route("/health", "GET")
@blueprint.answers(200, Health)
@public(Rate.NONE)
def get_health_at_root() -> Response:
    """Answer probes, and check nothing else."""
    return _alive()


def _alive() -> Response:
    return jsonify(Health.of({"status": "ok", "version": __version__}))


@blueprint.route("/api/v1/ready", "GET")
@blueprint.answers(200, Readiness)
@blueprint.or_answers(503, Readiness, description="Something is missing, which the checks name")
@public(Rate.NONE)
def get_readiness() -> Response:
    """Check whether jobs run: database, schema, Redis, a live scheduler and a live worker."""
    state = readiness.check_installation()
    response = jsonify(Readiness.of(state))
    response.status_code = 200 if state.is_ready else 503
    return response


@blueprint.route("/metrics", "GET")
@blueprint.answers(200, {"type": "string"}, content_type="text/plain")
@public(Rate.NONE)
def get_metrics() -> Response:
    """Show metrics in Prometheus' text format."""
    return Response(metrics.of(current_app).text(), content_type=CONTENT_TYPE_LATEST)

"""Puts the API together."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, json
from sqlalchemy import Engine
from werkzeug.middleware.proxy_fix import ProxyFix

from chronos_api import compat, connections, context
from chronos_api.accounts import (
    admin_routes,
    auth_routes,
    password_routes,
    second_factor_routes,
    verification_routes,
)
from chronos_api.adhoc_runs import routes as test_runs
from chronos_api.audit import routes as audit
from chronos_api.bulk import routes as bulk
from chronos_api.bulk import runner as bulk_runner
from chronos_api.context import Context
from chronos_api.deleted_jobs import routes as deleted_jobs
from chronos_api.deletion import routes as deletion
from chronos_api.device_logins import routes as device_logins
from chronos_api.docs import openapi
from chronos_api.docs import routes as docs
from chronos_api.events import hub
from chronos_api.events import routes as events
from chronos_api.executions import routes as executions
from chronos_api.explanations import routes as why
from chronos_api.exports import routes as exports
from chronos_api.http import compression, cors, errors, idempotency, request_hooks
from chronos_api.jobs import by_name_routes
from chronos_api.jobs import routes as jobs
from chronos_api.jobs.previews import routes as preview_routes
from chronos_api.operations import metrics, readiness
from chronos_api.operations import routes as operations
from chronos_api.preferences import routes as preferences
from chronos_api.quotas import routes as quotas
from chronos_api.recovery import routes as recovery
from chronos_api.scopes import routes as scopes
from chronos_api.security import access, host_check, lockouts, tokens
from chronos_api.statistics import cache
from chronos_api.statistics import routes as statistics
from chronos_api.ui import pages
from chronos_api.workspaces import invitation_routes, key_routes, member_routes
from chronos_api.workspaces import routes as workspaces
from chronos_common.broker import Broker
from chronos_common.events import EventPublisher
from chronos_common.settings import Settings
from chronos_common.storage import change_feed

_BLUEPRINTS = (
    auth_routes.blueprint,
    device_logins.blueprint,
    password_routes.blueprint,
    second_factor_routes.blueprint,
    verification_routes.blueprint,
    preferences.blueprint,
    workspaces.blueprint,
    quotas.blueprint,
    member_routes.blueprint,
    invitation_routes.blueprint,
    key_routes.blueprint,
    audit.blueprint,
    admin_routes.blueprint,
    exports.blueprint,
    deletion.blueprint,
    jobs.blueprint,
    *bulk.BLUEPRINTS,
    scopes.blueprint,
    deleted_jobs.blueprint,
    by_name_routes.blueprint,
    test_runs.blueprint,
    executions.blueprint,
    *recovery.BLUEPRINTS,
    preview_routes.blueprint,
    operations.blueprint,
    events.blueprint,
    *statistics.BLUEPRINTS,
    why.blueprint,
    *compat.BLUEPRINTS,
)


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """Return the application. ``engine`` replaces the connections that it would make itself."""
    app = Flask("chronos_api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        proxied = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)
        app.wsgi_app = proxied  # type: ignore[method-assign] # as Flask's manual has it
    app.json.sort_keys = False  # type: ignore[attr-defined]
    shared = _context(settings, engine or connections.to_database(settings))
    context.attach(app, shared)
    metrics.register(app, settings, shared.engine, shared.broker)
    readiness.register(app)
    cache.register(app, shared.redis, seconds=settings.statistics_cache_seconds)
    bulk_runner.register(app)
    hub.register(app, shared.redis, limit=settings.event_streams)
    tokens.register(app, settings)
    request_hooks.register(app)
    metrics.keep_apart(app, settings.metrics_port)
    host_check.register(app, settings)
    cors.register(app, settings.cors_origins)
    compression.register(app)
    access.register(app, settings)
    lockouts.register(app)
    idempotency.register(app)
    api = openapi.create(app, settings.public_url)
    for blueprint in _BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint)
    if settings.dashboard:
        pages.register(app)
    content = openapi.document(api)
    app.extensions["chronos-openapi"] = json.dumps(content, indent=1)
    _expect_requests(app, content)
    errors.register(app)
    access.check_routes(app)
    return app


def _expect_requests(app: Flask, content: Mapping[str, Any]) -> None:
    """Register the statuses of each route, by the OpenAPI ``content``, with the metrics."""
    # Of a rule like /jobs/<uuid:job_id> the document shows /jobs/{job_id}.
    rules = {_VARIABLE.sub(r"{\1}", rule.rule): rule.rule for rule in app.url_map.iter_rules()}
    for method, path, statuses in openapi.answers(content):
        metrics.of(app).expect(method=method, route=rules[path], statuses=statuses)


#: A variable part of a rule.
_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def _context(settings: Settings, engine: Engine) -> Context:
    redis = connections.to_redis(settings)
    change_feed.follow(engine, EventPublisher(redis).put)
    return Context(
        settings=settings,
        engine=engine,
        redis=redis,
        broker=Broker(settings.redis_url),
    )

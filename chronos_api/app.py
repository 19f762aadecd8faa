"""Puts the API together."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, json
from sqlalchemy import Engine
from werkzeug.middleware.proxy_fix import ProxyFix

from chronos_api import (
    access,
    compat,
    compression,
    connections,
    context,
    cors,
    errors,
    hooks,
    idempotency,
    lockouts,
    openapi,
    tokens,
)
from chronos_api.context import Context
from chronos_api.metrics import Metrics
from chronos_api.routes import (
    admin,
    audit,
    auth,
    bulk,
    dashboard,
    docs,
    events,
    executions,
    invitations,
    job_statistics,
    jobs,
    keys,
    members,
    named_jobs,
    passwords,
    schedules,
    service,
    test_runs,
    upcoming,
    verification,
    why,
    workspaces,
)
from chronos_api.services.cache import Cache
from chronos_api.streams import Hub
from chronos_common.broker import Broker
from chronos_common.events import Publisher
from chronos_common.settings import Settings
from chronos_common.storage import changes

_BLUEPRINTS = (
    auth.blueprint,
    passwords.blueprint,
    verification.blueprint,
    workspaces.blueprint,
    members.blueprint,
    invitations.blueprint,
    keys.blueprint,
    audit.blueprint,
    admin.blueprint,
    jobs.blueprint,
    bulk.blueprint,
    named_jobs.blueprint,
    test_runs.blueprint,
    executions.blueprint,
    schedules.blueprint,
    service.blueprint,
    dashboard.blueprint,
    events.blueprint,
    job_statistics.blueprint,
    upcoming.blueprint,
    why.blueprint,
    *compat.BLUEPRINTS,
)


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """Return the application; ``engine`` replaces the connections it would make itself."""
    app = Flask("chronos_api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        proxied = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)
        app.wsgi_app = proxied  # type: ignore[method-assign] # as Flask's manual has it
    app.json.sort_keys = False  # type: ignore[attr-defined]
    context.attach(app, _context(settings, engine or connections.to_database(settings)))
    tokens.register(app, settings)
    hooks.register(app)
    cors.register(app, settings.cors_origins)
    compression.register(app)
    access.register(app, settings)
    lockouts.register(app)
    idempotency.register(app)
    api = openapi.create(app, settings.public_url)
    for blueprint in _BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint)
    content = openapi.document(api)
    app.extensions["chronos-openapi"] = json.dumps(content, indent=1)
    _expect_requests(app, content)
    errors.register(app)
    access.check_routes(app)
    return app


def _expect_requests(app: Flask, content: Mapping[str, Any]) -> None:
    """Tell the metrics which route may answer what, by the OpenAPI ``content``."""
    # Of a rule like /jobs/<uuid:job_id> the document shows /jobs/{job_id}.
    rules = {_SLOT.sub(r"{\1}", rule.rule): rule.rule for rule in app.url_map.iter_rules()}
    for method, path, statuses in openapi.answers(content):
        context.of(app).metrics.expect(method=method, route=rules[path], statuses=statuses)


#: A variable part of a rule.
_SLOT = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def _context(settings: Settings, engine: Engine) -> Context:
    broker = Broker(settings.redis_url)
    redis = connections.to_redis(settings)
    changes.follow(engine, Publisher(redis).put)
    return Context(
        settings=settings,
        engine=engine,
        redis=redis,
        broker=broker,
        metrics=Metrics(settings, engine, broker),
        cache=Cache(redis, seconds=settings.statistics_cache_seconds),
        hub=Hub(redis, limit=settings.event_streams),
    )

"""Puts the API together."""

from flask import Flask
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
    app.extensions["chronos-openapi"] = openapi.document(api)
    errors.register(app)
    access.check_routes(app)
    return app


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

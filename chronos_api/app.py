"""Puts the API together."""

from flask import Flask
from sqlalchemy import Engine

from chronos_api import access, connections, context, errors, hooks, openapi, tokens
from chronos_api.context import Context
from chronos_api.metrics import Metrics
from chronos_api.routes import auth, docs, executions, jobs, schedules, service
from chronos_common.broker import Broker
from chronos_common.settings import Settings

_BLUEPRINTS = (
    auth.blueprint,
    jobs.blueprint,
    executions.blueprint,
    schedules.blueprint,
    service.blueprint,
)


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """Return the application; ``engine`` replaces the connections it would make itself."""
    app = Flask("chronos_api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    context.attach(app, _context(settings, engine or connections.to_database(settings)))
    tokens.register(app, settings)
    hooks.register(app)
    access.register(app, settings)
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
    return Context(
        settings=settings,
        engine=engine,
        redis=connections.to_redis(settings),
        metrics=Metrics(settings, engine, broker),
    )

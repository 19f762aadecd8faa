"""Registers the pages with the application."""

from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.security.access import public
from chronos_api.ui import assets
from chronos_api.ui.blueprint import IN_WORKSPACE, blueprint
from chronos_api.ui.routes import (
    audit_routes,
    bulk_routes,
    calendar_routes,
    execution_routes,
    failure_routes,
    job_form_routes,
    job_routes,
    overview_routes,
    settings_routes,
    system_routes,
)
from chronos_api.ui.routes.accounts import (
    account_routes,
    device_routes,
    email_routes,
    preference_routes,
)

#: The modules that add their routes to the blueprint when they are loaded.
SUBJECTS = (
    account_routes,
    device_routes,
    email_routes,
    preference_routes,
    overview_routes,
    job_routes,
    bulk_routes,
    job_form_routes,
    execution_routes,
    failure_routes,
    calendar_routes,
    settings_routes,
    audit_routes,
    system_routes,
)


@blueprint.route("/<path:_rest>", methods=["GET", "POST"])
@public()
def nothing_here(_rest: str) -> AnyResponse:
    """Show that there is no such page. Without this, programs' error documents would be shown."""
    raise NotFound


def register(app: Flask) -> None:
    """Serve the pages of the workspace that a user joined first, and of any other."""
    # Read now, so that a process serves the files that its pages were made for.
    assets.version()
    app.register_blueprint(assets.blueprint)
    app.register_blueprint(blueprint, url_prefix="/ui")
    app.register_blueprint(blueprint, name=IN_WORKSPACE, url_prefix="/ui/w/<uuid:workspace>")

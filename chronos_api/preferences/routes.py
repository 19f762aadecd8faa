"""``/api/v1/auth/me/preferences``."""

from dataclasses import asdict
from typing import Any

from flask import Response, jsonify

from chronos_api.http.blueprint import Blueprint
from chronos_api.preferences import service
from chronos_api.preferences.schemas import PreferencesAnswer, PreferencesFields
from chronos_api.security.access import requires_login
from chronos_api.transactions import account_call

blueprint = Blueprint(
    "preferences",
    __name__,
    url_prefix="/api/v1/auth/me/preferences",
    description="How you like the dashboard",
)


@blueprint.route("", "GET")
@blueprint.answers(200, PreferencesAnswer)
@requires_login()
def get_preferences() -> Response:
    """Read how you like the dashboard."""
    return _answer(service.read(account_call()))


@blueprint.route("", "PUT")
@blueprint.body(PreferencesFields, example={"time_zone": "Europe/Berlin", "theme": "dark"})
@blueprint.answers(200, PreferencesAnswer)
@requires_login()
def set_preferences(body: dict[str, Any]) -> Response:
    """Replace how you like the dashboard. Fields that are not given become their defaults."""
    return _answer(service.replace(account_call(), body))


def _answer(chosen: service.Preferences) -> Response:
    return jsonify(PreferencesAnswer.of(asdict(chosen)))

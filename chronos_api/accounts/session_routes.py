"""``/api/v1/auth/sessions`` and ``/api/v1/auth/me/preferences``: one's own logins and choices."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Response, jsonify

from chronos_api.accounts import preferences, sessions
from chronos_api.accounts.schemas import PreferencesAnswer, PreferencesFields, Sessions
from chronos_api.http import problems
from chronos_api.http.blueprint import Blueprint
from chronos_api.security.access import account, requires_login
from chronos_api.transactions import account_call

blueprint = Blueprint(
    "sessions", __name__, url_prefix="/api/v1/auth", description="Logins and preferences"
)


@blueprint.route("/sessions", "GET")
@blueprint.answers(200, Sessions)
@requires_login()
def list_sessions() -> Response:
    """List your logins that have not ended, the latest used first.

    ``user_agent`` and ``address`` are those of the latest login or refresh.
    """
    current = account().family_id
    rows = [
        {**row, "is_current": row["id"] == current}
        for row in sessions.list_sessions(account_call())
    ]
    return jsonify(Sessions.of({"items": rows}))


@blueprint.route("/sessions/<uuid:session_id>", "DELETE")
@blueprint.answers(204)
@blueprint.problems(problems.NOT_FOUND)
@requires_login()
def end_session(session_id: UUID) -> Response:
    """End one of your logins, this one too. All of its tokens are refused from now on."""
    sessions.end(account_call(), session_id)
    return Response(status=204)


@blueprint.route("/me/preferences", "GET")
@blueprint.answers(200, PreferencesAnswer)
@requires_login()
def get_preferences() -> Response:
    """Read how you like the dashboard."""
    return _answer(preferences.read(account_call()))


@blueprint.route("/me/preferences", "PUT")
@blueprint.body(PreferencesFields, example={"time_zone": "Europe/Berlin", "theme": "dark"})
@blueprint.answers(200, PreferencesAnswer)
@requires_login()
def set_preferences(body: dict[str, Any]) -> Response:
    """Replace how you like the dashboard. Fields that are not given become their defaults."""
    return _answer(preferences.replace(account_call(), body))


def _answer(chosen: preferences.Preferences) -> Response:
    return jsonify(PreferencesAnswer.of(asdict(chosen)))

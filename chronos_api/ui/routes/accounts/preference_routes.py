"""The preferences that other pages change: the zone of times, and the views of lists."""

from http import HTTPStatus
from typing import Any

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.http import json_body
from chronos_api.preferences import service as preferences
from chronos_api.preferences.schemas import PreferencesFields
from chronos_api.security.access import requires_login
from chronos_api.transactions import account_call
from chronos_api.ui.blueprint import blueprint, safe_page


@blueprint.post("/account/time-zone")
@requires_login()
def switch_time_zone() -> AnyResponse:
    """Show times in another zone, and go on with the page."""
    _change({"time_zone": request.form.get("time_zone", "")})
    return _back()


@blueprint.post("/account/views")
@requires_login()
def save_view() -> AnyResponse:
    """Keep a list with its filters under a name. A view of that name is replaced."""
    view = {name: request.form.get(name, "") for name in ("page", "name", "query")}
    _change({"views": [*_other_views(view["page"], view["name"].strip()), view]})
    return _back()


@blueprint.post("/account/views/delete")
@requires_login()
def delete_view() -> AnyResponse:
    """Forget a view."""
    _change({"views": _other_views(request.form.get("page"), request.form.get("name"))})
    return _back()


def _other_views(page: str | None, name: str | None) -> list[dict[str, str]]:
    """Return the views without the one of that page and name."""
    views = preferences.read(account_call()).views
    return [
        {"page": view.page, "name": view.name, "query": view.query}
        for view in views
        if (view.page, view.name) != (page, name)
    ]


def _change(changes: dict[str, Any]) -> None:
    """Store some preferences, checked as the API checks them."""
    checked = json_body.load(PreferencesFields, changes)
    preferences.change(account_call(), **{name: checked[name] for name in changes})


def _back() -> AnyResponse:
    """Go on with the page that the form was on."""
    return redirect(safe_page(request.form.get("next", "")), HTTPStatus.SEE_OTHER)

"""The documentation: the OpenAPI document, and a page that shows it without any other server."""

from importlib.resources import files

from flask import Blueprint, Response, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from chronos_api.context import current
from chronos_api.security.access import public
from chronos_api.security.rate_limits import Rate

blueprint = Blueprint("docs", __name__)

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECONDS_TO_KEEP = 300


@blueprint.get("/")
@public(Rate.NONE)
def root() -> AnyResponse:
    """Redirect people to the dashboard, and programs to the documentation."""
    accepted = request.accept_mimetypes
    is_person = accepted["text/html"] > accepted["application/json"]
    has_pages = current().settings.dashboard
    return redirect("/ui/" if is_person and has_pages else url_for("docs.page"))


@blueprint.get("/openapi.json")
@public(Rate.NONE)
def openapi() -> Response:
    """Return the OpenAPI document."""
    return _file(current_app.extensions["chronos-openapi"], "application/json")


@blueprint.get("/docs")
@public(Rate.NONE)
def page() -> Response:
    """Return the documentation's page."""
    return _file(_read("page.html"), "text/html")


@blueprint.get("/docs/")
@public(Rate.NONE)
def page_with_slash() -> AnyResponse:
    """Redirect to the documentation's page, whose address has no slash at its end."""
    return redirect(url_for("docs.page"))


@blueprint.get("/docs/page.js")
@public(Rate.NONE)
def script() -> Response:
    """Return the script of the page."""
    return _file(_read("page.js"), "text/javascript")


@blueprint.get("/docs/page.css")
@public(Rate.NONE)
def style() -> Response:
    """Return the style sheet of the page."""
    return _file(_read("page.css"), "text/css")


def _read(name: str) -> str:
    return files("chronos_api.docs").joinpath(name).read_text("utf-8")


def _file(content: str, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    response.headers["Cache-Control"] = f"public, max-age={_SECONDS_TO_KEEP}"
    return response

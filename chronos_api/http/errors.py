"""Errors as HTTP answers. ``problems`` has their statuses."""

import structlog
from flask import Flask, Response, request
from flask_limiter import RateLimitExceeded
from psycopg2.errors import QueryCanceled
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from chronos_api.http import problems
from chronos_api.http.problems import Problem, ProblemType
from chronos_api.security import rate_limits
from chronos_api.security.host_check import Misdirected
from chronos_common.errors import (
    ChronosError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidItems,
    NoAnswer,
    NotFound,
    SecondFactorRequired,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from chronos_common.quotas import QuotaExceeded
from chronos_common.storage.postgres import database

RETRY_AFTER_SECONDS = "2"

_log = structlog.get_logger(__name__)


class MalformedBody(ChronosError):
    """The body is not JSON."""


class NotJson(ChronosError):
    """Send the body as JSON, with 'Content-Type: application/json'."""


_KINDS: dict[type[ChronosError], ProblemType] = {
    MalformedBody: problems.MALFORMED,
    NotJson: problems.NOT_JSON,
    Unauthenticated: problems.UNAUTHENTICATED,
    SecondFactorRequired: problems.SECOND_FACTOR_REQUIRED,
    Forbidden: problems.FORBIDDEN,
    Misdirected: problems.MISDIRECTED,
    NotFound: problems.NOT_FOUND,
    Conflict: problems.CONFLICT,
    VersionConflict: problems.VERSION_CONFLICT,
    NoAnswer: problems.NO_ANSWER,
    Invalid: problems.INVALID,
    InvalidItems: problems.INVALID,
    TooManyRequests: problems.RATE_LIMITED,
    QuotaExceeded: problems.QUOTA_EXCEEDED,
    Unavailable: problems.UNAVAILABLE,
}

_HEADERS: dict[ProblemType, dict[str, str]] = {
    problems.SECOND_FACTOR_REQUIRED: {"WWW-Authenticate": 'Bearer realm="chronos"'},
    problems.UNAUTHENTICATED: {"WWW-Authenticate": 'Bearer realm="chronos"'},
    problems.UNAVAILABLE: {"Retry-After": RETRY_AFTER_SECONDS},
}


def register(app: Flask) -> None:
    """Turn every error that a request ends with into a problem document."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> Response:
    return problem_of(error).response()


def problem_of(error: Exception) -> Problem:
    """Return the problem that the caller may know of ``error``. The rest is logged."""
    match error:
        case RateLimitExceeded():
            return _rate_limited()
        case HTTPException():
            return _http_problem(error)
        case ChronosError():
            return _known_problem(error)
        case DBAPIError() if database.is_outage(error):
            return _no_database(error)
        case PoolTimeout():
            _log.warning("every database connection is in use")
            return _unavailable("Too many requests are under way; try again in a moment.")
        case _:
            return _internal(error)


def _no_database(error: DBAPIError) -> Problem:
    if isinstance(error.orig, QueryCanceled):
        _log.warning("statement took too long", path=request.path)
        return _unavailable("This takes too long; ask for less, like a shorter time range.")
    _log.warning("database unavailable", error=str(error.orig).strip())
    return _unavailable("The database does not answer; try again in a moment.")


def _known_problem(error: ChronosError) -> Problem:
    kind = next((_KINDS[each] for each in type(error).__mro__ if each in _KINDS), None)
    if kind is None:
        return _internal(error)
    if isinstance(error, Invalid):
        detail = f"Wrong: {problems.named(error.fields)}. See 'errors'."
        return Problem(kind, detail, error.fields)
    if isinstance(error, InvalidItems):
        detail = f"Wrong items: {problems.named(error.items)}. See 'errors'."
        return Problem(kind, detail, items=error.items)
    if isinstance(error, TooManyRequests):
        return Problem(kind, str(error), headers={"Retry-After": str(error.seconds)})
    if isinstance(error, QuotaExceeded):
        return _quota_exceeded(error)
    return Problem(kind, str(error), headers=_HEADERS.get(kind, {}))


def _quota_exceeded(error: QuotaExceeded) -> Problem:
    use = error.use
    return Problem(
        problems.QUOTA_EXCEEDED,
        str(error),
        headers={} if error.seconds is None else {"Retry-After": str(error.seconds)},
        quota={
            "name": use.quota.name,
            "bound": use.bound,
            "used": use.used,
            "unit": use.quota.unit,
        },
    )


def _unavailable(detail: str) -> Problem:
    return Problem(problems.UNAVAILABLE, detail, headers=_HEADERS[problems.UNAVAILABLE])


def _internal(error: Exception) -> Problem:
    _log.error("request failed", exc_info=error)
    return Problem(problems.INTERNAL, "This is a fault of Chronos; its log has the details.")


def _rate_limited() -> Problem:
    seconds = rate_limits.seconds_to_wait()
    return Problem(
        problems.RATE_LIMITED,
        f"Too many requests; wait {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )


def _http_problem(error: HTTPException) -> Problem:
    """Translate the errors of Flask and Werkzeug."""
    kind = next((each for each in problems.ALL if each.status == error.code), None)
    if kind is None:
        kind = problems.MALFORMED if (error.code or 500) < 500 else problems.INTERNAL  # noqa: PLR2004 - RFC 9110, section 15
    headers = {name: value for name, value in error.get_headers() if name == "Allow"}
    detail = error.description or kind.meaning
    if kind is problems.NOT_FOUND:
        detail = "There is nothing at this address; /docs lists what there is."
    elif kind is problems.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed here; use {headers.get('Allow', 'another')}."
    elif kind is problems.TOO_LARGE:
        detail = f"The body may have at most {request.max_content_length} bytes."
    return Problem(kind, detail, headers=headers)

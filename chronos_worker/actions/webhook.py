"""The webhook action: from a job to what is sent, and from what came back to an outcome.

The transfer in between is the engine's business (``chronos_worker.transfers``).
"""

import codecs
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from chronos_common.domain import redaction
from chronos_common.domain.attempts import Attempt
from chronos_common.domain.executions import Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, Succeeded
from chronos_worker import header, redirects, retry_after
from chronos_worker.request import Request, request_of
from chronos_worker.result import ErrorKind, Result
from chronos_worker.targets import target_of

_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429})
_PERMANENT_ERRORS: Final = frozenset(
    {ErrorKind.REFUSED_BY_EGRESS, ErrorKind.INVALID_URL, ErrorKind.REDIRECT, ErrorKind.INTERNAL}
)
# Members of an enumeration take as long to look up as the rest of the question.
_SUCCESS: Final = range(HTTPStatus.OK.value, HTTPStatus.MULTIPLE_CHOICES.value)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
#: Decoded as declared; anything else is read as UTF-8, with marks where it is not.
_CHARSETS: Final = ("iso-8859-1", "windows-1252", "us-ascii")


def prepare(execution: Claimed, job: JobSpec) -> Request:
    """Return the request of one attempt.

    Raises :class:`chronos_common.errors.Invalid` if the stored payload cannot be sent.
    """
    return request_of(execution, job, target_of(job))


def outcome(request: Request, result: Result) -> tuple[Succeeded | Failed, Attempt]:
    """Return how an attempt ended, and its entry in the history."""
    return _judge(request, result), Attempt(
        started_at=result.started_at,
        duration_ms=round(result.duration_seconds * 1000),
        request=request.target.shown,
        response=_response(result),
        http_status=result.http_status,
        timing_ms=result.timing_ms,
    )


def _judge(request: Request, result: Result) -> Succeeded | Failed:
    """Decide by what went wrong, else by the status code.

    An answer that is too long is an answer: its status decides, and the rest of it is cut off.
    """
    error, status = result.error, result.http_status
    if error and (error.kind is not ErrorKind.TOO_LARGE or status is None):
        return Failed(_sentence(error.message), permanent=error.kind in _PERMANENT_ERRORS)
    if status is None:
        return Failed("The target answered without a status.")
    if _is_success(status, request.target.success_statuses):
        return Succeeded()
    message = _refusal(status, result)
    if status not in _RETRYABLE_STATUSES and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed(message, permanent=True)
    answered_at = result.started_at + timedelta(seconds=result.duration_seconds)
    fields = header.of(result.header_lines).first
    asked = retry_after.parse(fields.get("retry-after"), now=answered_at)
    return Failed(message, retry_after=asked)


def _is_success(status: int, listed: frozenset[int]) -> bool:
    return status in (listed or _SUCCESS)


def _refusal(status: int, result: Result) -> str:
    phrase = _PHRASES.get(status)
    text = f"The target answered {status} {phrase}" if phrase else f"The target answered {status}"
    if status in redirects.STATUSES and header.of(result.header_lines).first.get("location"):
        return f"{text}; this job does not follow redirects."
    return f"{text}."


def _sentence(message: str) -> str:
    return message if message.endswith(".") else f"{message}."


def _response(result: Result) -> dict[str, Any] | None:
    if result.http_status is None:
        return None
    fields = header.of(result.header_lines)
    response: dict[str, Any] = {
        "status": result.http_status,
        "headers": fields.shown,
        "body": _text(result.body, fields.first.get("content-type", ""), is_cut=result.truncated),
        "body_truncated": result.truncated,
    }
    if result.redirects:
        response["redirects"] = [redaction.url(url) for url in result.redirects]
    return response


def _text(body: bytes, content_type: str, *, is_cut: bool) -> str:
    """Return ``body`` as text that PostgreSQL stores: without NUL and lone surrogates."""
    declared = content_type.lower()
    charset = next((name for name in _CHARSETS if name in declared), "utf-8")
    if is_cut:
        # A character that the cut divided is left out.
        text = codecs.getincrementaldecoder(charset)("replace").decode(body)
    else:
        text = body.decode(charset, "replace")
    return text.replace("\x00", "")

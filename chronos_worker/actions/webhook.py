"""The webhook action: from a job to its request, and from the transfer's result to an outcome.

The transfer in between is made by ``chronos_worker.transfers.engine``. ``chronos_worker.webhooks``
does not wait for it. The action does.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from chronos_common.domain import redaction
from chronos_common.domain.executions import Attempt, Claimed, JobSpec
from chronos_common.domain.outcomes import Failed, NotAttempted, Outcome, Succeeded
from chronos_worker.actions import TEST_HEADER, Tools
from chronos_worker.attempts import Action
from chronos_worker.http import charsets, content_codings, redirects, response_headers
from chronos_worker.http.request import TransferRequest, request_of
from chronos_worker.http.request_template import template_of
from chronos_worker.transfers.curl_handle import KEPT_BODY_BYTES
from chronos_worker.transfers.results import ErrorKind, TransferResult

_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429})
_PERMANENT_ERRORS: Final = frozenset(
    {ErrorKind.REFUSED_BY_EGRESS, ErrorKind.INVALID_URL, ErrorKind.REDIRECT, ErrorKind.INTERNAL}
)
# Plain numbers, because members of an enumeration are slow to look up.
_SUCCESS: Final = range(HTTPStatus.OK.value, HTTPStatus.MULTIPLE_CHOICES.value)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
#: Statuses of ``success_statuses`` that an error names.
_MAX_NAMED: Final = 10
_TEST_MARK: Final = f"\r\n{TEST_HEADER}: true".encode()


def build(tools: Tools) -> Action:
    """Return the action that sends a webhook and waits for its result."""

    def perform(execution: Claimed, job: JobSpec) -> tuple[Outcome, Attempt]:
        request = prepare(execution, job)
        if tools.is_test:
            request = request._replace(execution_lines=request.execution_lines + _TEST_MARK)
        return outcome(request, tools.transfer(request))

    return perform


def prepare(execution: Claimed, job: JobSpec) -> TransferRequest:
    """Return the request of one attempt.

    Raises :class:`chronos_common.errors.Invalid` if the stored payload cannot be sent.
    """
    return request_of(execution, job, template_of(job))


def outcome(request: TransferRequest, result: TransferResult) -> tuple[Outcome, Attempt]:
    """Return how an attempt ended, and its entry in the history."""
    return _judge(request, result), Attempt(
        started_at=result.started_at,
        duration_ms=round(result.duration_seconds * 1000),
        request=request.template.shown,
        response=_response(result),
        http_status=result.http_status,
        timing_ms=result.timing_ms,
    )


def _judge(request: TransferRequest, result: TransferResult) -> Outcome:
    """Decide by the error if there is one, else by the status code.

    A flaw in the answer after its status changes nothing: the target has decided.
    """
    error, status = result.error, result.http_status
    if error:
        if error.kind is ErrorKind.WORKER:
            return NotAttempted(error.message)
        return Failed(_sentence(error.message), permanent=error.kind in _PERMANENT_ERRORS)
    if status is None:
        return Failed("The target answered without a status.")
    if status in (request.template.success_statuses or _SUCCESS):
        return Succeeded()
    fields = response_headers.of(result.header_lines).first
    answered_at = result.started_at + timedelta(seconds=result.duration_seconds)
    asked = response_headers.retry_after(fields.get("retry-after"), now=answered_at)
    message = _refusal(request, status, fields)
    if not _is_retryable(status, asked):
        return Failed(message, permanent=True)
    return Failed(message, retry_after=asked)


def _is_retryable(status: int, asked: timedelta | None) -> bool:
    """Return whether another attempt may help: a 4xx counts if ``Retry-After`` asked for one."""
    if status < HTTPStatus.BAD_REQUEST:
        return False
    return (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status in _RETRYABLE_STATUSES
        or asked is not None
    )


def _refusal(request: TransferRequest, status: int, fields: Mapping[str, str]) -> str:
    phrase = _PHRASES.get(status)
    text = f"The target answered {status} {phrase}" if phrase else f"The target answered {status}"
    template = request.template
    if status in redirects.STATUSES and template.follow_redirects:
        text = f"{text} without a Location"
    elif status in redirects.STATUSES and fields.get("location"):
        return f"{text}; this job does not follow redirects."
    if template.success_statuses:
        return f"{text}; this job counts {_enumerated(template.success_statuses)} as success."
    return f"{text}."


def _enumerated(statuses: frozenset[int]) -> str:
    shown = [str(status) for status in sorted(statuses)[:_MAX_NAMED]]
    if len(statuses) > len(shown):
        return f"{', '.join(shown)} and others"
    *most, last = shown
    return f"{', '.join(most)} and {last}" if most else f"only {last}"


def _sentence(message: str) -> str:
    return message if message.endswith(".") else f"{message}."


def _response(result: TransferResult) -> dict[str, Any] | None:
    if result.http_status is None:
        return None
    fields = response_headers.of(result.header_lines)
    body, is_whole, note = result.body, not result.truncated, None
    coding = fields.first.get("content-encoding")
    if coding and body:
        body, is_whole, note = _decompressed(body, coding, is_whole=is_whole)
    content_type = fields.first.get("content-type", "")
    response: dict[str, Any] = {
        "status": result.http_status,
        "headers": fields.shown,
        "body": redaction.text(charsets.decode(body, content_type, is_cut=not is_whole)),
        "body_truncated": not is_whole,
    }
    if result.flaw or note:
        texts = (result.flaw.message if result.flaw else None, note)
        response["note"] = " ".join(_sentence(text) for text in texts if text)
    if result.redirects:
        response["redirects"] = [redaction.url(url) for url in result.redirects]
    return response


def _decompressed(body: bytes, coding: str, *, is_whole: bool) -> tuple[bytes, bool, str | None]:
    """Return the decoded body, whether it is whole, and a note if decoding failed."""
    try:
        decoded, is_end = content_codings.decode(body, coding, max_bytes=KEPT_BODY_BYTES)
    except content_codings.Undecodable as error:
        return body, is_whole, f"{error}; it is shown as it came"
    return decoded, is_whole and is_end, None

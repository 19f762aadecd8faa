"""Failure e-mails: the words that tell people of final failures. They are sent in ``notices``."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from unicodedata import category

from chronos_common import clock
from chronos_common.domain.payloads import Email
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.texts import one_line
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.outbox.failure_emails import Notification

#: Characters of an error: in the mail about one failure, and in a list of them.
_MAX_ERROR: Final = 1000
_MAX_LISTED_ERROR: Final = 300
#: How much of an answer is shown; the history holds more.
_MAX_ANSWER: Final = 1500
_MAX_LINES: Final = 30
# Marks that turn the direction of text around, and could show something else than what was sent.
_TURNS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

_SINGLE = """\
The job "{name}" failed, and Chronos does not try it again by itself.

Error:         {error}
HTTP status:   {status}
Attempts:      {attempts}
Schedule:      {schedule}
Scheduled for: {scheduled_for}
Gave up at:    {finished_at}
{answer}
The execution, with what was sent and what came back:
{public_url}/api/v1/executions/{execution_id}

To run it again: POST {public_url}/api/v1/executions/{execution_id}/retry
To change who gets this mail, set "notify" of the job:
{public_url}/api/v1/jobs/{job_id}
"""

_DIGEST = """\
The job "{name}" failed {failures:,} times, and Chronos does not try these again by itself.

From: {first}
To:   {last}

How often, and why (of the latest ones):
{errors}
{answer}
The executions that failed:
{public_url}/api/v1/jobs/{job_id}/executions?status=failed

After its first failure, what follows within {minutes} minutes comes together, in one mail.
To change who gets this mail, set "notify" of the job:
{public_url}/api/v1/jobs/{job_id}
"""


def single(
    notification: Notification,
    recipients: Sequence[str],
    schedule: Schedule | None,
    *,
    public_url: str,
) -> Email:
    """Return the mail about one failure, with what a person needs first at its beginning."""
    name = one_line(notification.job_name)
    text = _SINGLE.format(
        name=name,
        error=_shortened(one_line(notification.error or "-"), _MAX_ERROR),
        status=_status(notification.http_status),
        attempts=notification.execution_attempts,
        schedule=schedule.describe() if schedule else "-",
        scheduled_for=clock.rfc3339(notification.scheduled_for),
        finished_at=clock.rfc3339(notification.finished_at),
        answer=_answer("The answer began with:", notification),
        public_url=public_url,
        execution_id=notification.execution_id,
        job_id=notification.job_id,
    )
    return Email(recipients, f"[Chronos] {name} failed", text)


def digest(
    notification: Notification,
    recipients: Sequence[str],
    errors: Sequence[tuple[str, int]],
    *,
    public_url: str,
) -> Email:
    """Return the mail about many failures of one job, with the most frequent ``errors``."""
    name = one_line(notification.job_name)
    lines = [
        f"{number:7,} x {_shortened(one_line(error), _MAX_LISTED_ERROR)}"
        for error, number in errors
    ]
    text = _DIGEST.format(
        name=name,
        failures=notification.failures,
        first=clock.rfc3339(notification.created_at),
        last=clock.rfc3339(notification.last_failed_at),
        errors="\n".join(lines) or "-",
        answer=_answer("The answer to the first of them began with:", notification),
        public_url=public_url,
        job_id=notification.job_id,
        minutes=failure_emails.DIGEST_WINDOW // timedelta(minutes=1),
    )
    subject = f"[Chronos] {name} failed {notification.failures:,} times"
    return Email(recipients, subject, text)


def _status(http_status: int | None) -> str:
    if http_status is None:
        return "-"
    return f"{http_status} {_PHRASES.get(http_status, '')}".rstrip()


def _answer(title: str, notification: Notification) -> str:
    """Return the start of the answer as a paragraph of its own, or nothing.

    Each line is marked as quoted: whoever answers must not put words into Chronos's mouth.
    """
    body = (notification.response or {}).get("body")
    if not isinstance(body, str) or not body.strip():
        return ""
    shown = _shortened(body.strip(), _MAX_ANSWER)
    lines = ["".join(map(_shown, line)) for line in shown.splitlines()]
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], "…"]
    return "\n".join(["", title, *(f"> {line}" for line in lines), ""])


def _shown(character: str) -> str:
    if character == "\t":
        return character
    return "" if category(character) in {"Cc", "Cs"} or character in _TURNS else character


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"

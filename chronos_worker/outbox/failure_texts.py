"""The texts of failure e-mails."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from unicodedata import category

from chronos_common import clock
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.texts import one_line
from chronos_common.storage.outbox import failure_emails
from chronos_common.storage.outbox.failure_emails import FailureEmail
from chronos_worker.delivery import Announcement

#: Characters of the error in the e-mail about one failure.
_MAX_ERROR: Final = 1000
#: Characters of each error in a digest.
_MAX_DIGEST_ERROR: Final = 300
#: Characters of the target's answer. The history holds more.
_MAX_ANSWER: Final = 1500
_MAX_ANSWER_LINES: Final = 30
# Marks that reverse the direction of text, and could disguise an answer.
_DIRECTION_MARKS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
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


def single(row: FailureEmail, schedule: Schedule | None, *, public_url: str) -> Announcement:
    """Return the e-mail about one failure. The most urgent facts come first."""
    name = one_line(row.job_name)
    text = _SINGLE.format(
        name=name,
        error=_shortened(one_line(row.error or "-"), _MAX_ERROR),
        status=_status(row.http_status),
        attempts=row.execution_attempts,
        schedule=schedule.describe() if schedule else "-",
        scheduled_for=clock.rfc3339(row.scheduled_for),
        finished_at=clock.rfc3339(row.finished_at),
        answer=_answer("The answer began with:", row),
        public_url=public_url,
        execution_id=row.execution_id,
        job_id=row.job_id,
    )
    return Announcement(row.id, f"[Chronos] {name} failed", text)


def digest(
    row: FailureEmail, errors: Sequence[tuple[str, int]], *, public_url: str
) -> Announcement:
    """Return the e-mail about many failures of one job, with its most frequent ``errors``."""
    name = one_line(row.job_name)
    lines = [
        f"{number:7,} x {_shortened(one_line(error), _MAX_DIGEST_ERROR)}"
        for error, number in errors
    ]
    text = _DIGEST.format(
        name=name,
        failures=row.failures,
        first=clock.rfc3339(row.created_at),
        last=clock.rfc3339(row.last_failed_at),
        errors="\n".join(lines) or "-",
        answer=_answer("The answer to the first of them began with:", row),
        public_url=public_url,
        job_id=row.job_id,
        minutes=failure_emails.DIGEST_WINDOW // timedelta(minutes=1),
    )
    return Announcement(row.id, f"[Chronos] {name} failed {row.failures:,} times", text)


def _status(http_status: int | None) -> str:
    if http_status is None:
        return "-"
    return f"{http_status} {_PHRASES.get(http_status, '')}".rstrip()


def _answer(title: str, row: FailureEmail) -> str:
    """Return the start of the target's answer as a paragraph, or an empty string.

    Each line is marked as quoted, so that no target can write in the name of Chronos.
    """
    body = (row.response or {}).get("body")
    if not isinstance(body, str) or not body.strip():
        return ""
    shown = _shortened(body.strip(), _MAX_ANSWER)
    lines = ["".join(map(_shown, line)) for line in shown.splitlines()]
    if len(lines) > _MAX_ANSWER_LINES:
        lines = [*lines[:_MAX_ANSWER_LINES], "…"]
    return "\n".join(["", title, *(f"> {line}" for line in lines), ""])


def _shown(character: str) -> str:
    if character == "\t":
        return character
    return (
        "" if category(character) in {"Cc", "Cs"} or character in _DIRECTION_MARKS else character
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"

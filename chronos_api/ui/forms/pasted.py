"""A command of curl or wget, or a line of a crontab, as the form of a new job.

The importers of the command line read it, so that both mean the same. Nothing is executed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_api.ui.forms import job_form, texts
from chronos_api.ui.forms.job_form import Form
from chronos_client.importers import crontab
from chronos_client.importers.http import shell
from chronos_client.importers.outcome import (
    ImportFinding,
    Outcome,
    SourcePlace,
    SourceUnreadable,
)
from chronos_common.errors import Invalid

#: The field that a text is pasted into.
FIELD = "pasted"
#: More is no command that somebody has copied.
MAX_LENGTH = 50_000

_PROGRAM = re.compile(r"(?:\S*/)?(?:curl|wget|timeout)\s")
_TYPE = "content-type"
_ZONE = "A crontab does not name its time zone. UTC is written. Choose the right one below."


@dataclass(frozen=True, slots=True)
class PastedJob:
    """The form that a text fills, and what to know about it."""

    form: Form
    findings: Sequence[ImportFinding]


def read(text: str) -> PastedJob:
    """Return the job of a text. Raises :class:`Invalid` if there is none, or several."""
    if len(text) > MAX_LENGTH:
        raise _wrong(f"It has more than {MAX_LENGTH:,} characters.")
    joined = texts.trimmed(text).replace("\\\n", " ")
    try:
        outcome = _command(joined) if _PROGRAM.match(joined) else _crontab(joined)
    except SourceUnreadable as error:
        raise _wrong(str(error)) from error
    match outcome.jobs:
        case [job]:
            job = job | {"payload": _readable(job["payload"])}
            return PastedJob(job_form.filled(job), outcome.findings)
        case []:
            raise _wrong(*(each.why for each in outcome.findings))
        case jobs:
            raise _wrong(
                f"It has {len(jobs)} jobs. Paste one line, or import the file: "
                "chronos import crontab FILE."
            )


def _readable(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload whose body, if it is sent as JSON, is the value and not its text."""
    types = [value for name, value in payload.get("headers", {}).items() if name.lower() == _TYPE]
    value = texts.json_or_text(payload.get("body") or "")
    if any("json" in each.lower() for each in types) and isinstance(value, dict | list):
        return {**payload, "body": value}
    return payload


def _command(text: str) -> Outcome:
    outcome, place = Outcome(), SourcePlace("the command")
    with outcome.entry(place, text) as draft:
        request = shell.read_command(text, draft)
        request.set_in(draft)
        draft.set(name=request.name)
    return outcome


def _crontab(text: str) -> Outcome:
    outcome = crontab.read(text, timezone="UTC")
    if outcome.jobs and "CRON_TZ" not in text:
        outcome.leave_out(SourcePlace("the line"), "time zone", _ZONE)
    return outcome


def _wrong(*texts: str) -> Invalid:
    return Invalid({FIELD: list(texts) or ["Paste a command of curl, or a line of a crontab."]})

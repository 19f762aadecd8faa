"""Figures, instants, statuses, programs and requests as the pages show them."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any, Final

from markupsafe import Markup, escape

from chronos_common import clock
from chronos_common.domain.statuses import REASON_TEXTS, JobStatus, Reason, Status

#: Stands for a figure that there is not.
NONE: Final = "\N{EN DASH}"

_THOUSAND = 1000
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Up to this long, two units are shown: "2 h 5 min".
_FEW = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """A status as a symbol and a word. Its colour is the last of the three to tell it."""

    symbol: str
    word: str


EXECUTION_MARKS: Final[Mapping[str, Mark]] = {
    Status.SUCCEEDED: Mark("✓", "succeeded"),
    Status.FAILED: Mark("✕", "failed"),
    Status.SKIPPED: Mark("⊘", "did not run"),
    Status.CANCELLED: Mark("⊖", "cancelled"),
    Status.RUNNING: Mark("▶", "running"),
    Status.RETRYING: Mark("↻", "retrying"),
    Status.QUEUED: Mark("◷", "queued"),
}

JOB_MARKS: Final[Mapping[str, Mark]] = {
    JobStatus.ACTIVE: Mark("●", "active"),
    JobStatus.PAUSED: Mark("‖", "paused"),
    JobStatus.COMPLETED: Mark("■", "completed"),
    JobStatus.CANCELLED: Mark("⊖", "deleted"),
}


def status_badge(status: str, marks: Mapping[str, Mark]) -> Markup:
    """Return a status as an element."""
    mark = marks[status]
    return Markup(
        '<span class="status {status}"><span aria-hidden="true">{symbol}</span> {word}</span>'
    ).format(status=status, symbol=mark.symbol, word=mark.word)


def execution_status(status: str) -> Markup:
    """Return the status of an execution as an element."""
    return status_badge(status, EXECUTION_MARKS)


def job_status(status: str) -> Markup:
    """Return the status of a job as an element."""
    return status_badge(status, JOB_MARKS)


def number(value: float) -> str:
    """Return a number with separators, like ``100,060``."""
    return f"{value:,}"


def change(value: int, before: int) -> str:
    """Return how a number differs from the one before it: ``▲ 12 %``, or nothing for 0 and 0."""
    if not before:
        return "▲ from 0" if value else ""
    percent = round((value - before) / before * 100)
    if not percent:
        return "as before"
    return f"{'▲' if percent > 0 else '▼'} {abs(percent):,} %"


def compact(value: int) -> str:
    """Return a number for a narrow place, like ``982`` or ``12k``."""
    return str(value) if value < _THOUSAND else f"{value / _THOUSAND:.3g}k"


def milliseconds(value: float | None) -> str:
    """Return a duration: ``33 ms``, ``1.25 s``, ``2 min 5 s``, or a dash if there is none."""
    if value is None:
        return NONE
    if value < _THOUSAND:
        return f"{round(value)} ms"
    length = timedelta(milliseconds=value)
    return span(length) if length >= _MINUTE else f"{value / _THOUSAND:.3g} s"


def span(length: timedelta) -> str:
    """Return a length in its one or two largest units, like ``2 h 5 min``."""
    seconds = max(int(length.total_seconds()), 0)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (unit, size), (smaller, smaller_size) in zip(units, (*units[1:], ("", 1)), strict=True):
        count, rest = divmod(seconds, size)
        if count:
            more = rest // smaller_size if smaller and count < _FEW else 0
            return f"{count} {unit} {more} {smaller}" if more else f"{count} {unit}"
    return "0 s"


def relative(moment: datetime, now: datetime) -> str:
    """Return how far an instant is from now: ``in 1 h 3 min``, ``3 s ago``."""
    if moment >= now:
        return f"in {span(moment - now)}"
    return f"{span(now - moment)} ago"


def instant(moment: datetime | None, now: datetime, *, zone: tzinfo = UTC) -> Markup:
    """Return an instant as a ``time`` element, on the clocks of ``zone``."""
    if moment is None:
        return escape(NONE)
    local = moment.astimezone(zone)
    day = "" if local.date() == now.astimezone(zone).date() else f"{local:%a %-d %b} "
    year = f"{local:%Y} " if abs(moment - now) > 300 * _DAY else ""
    return Markup('<time datetime="{exact}" title="{title}">{text}</time>').format(
        exact=clock.rfc3339(moment),
        title=_exactly(moment, zone),
        text=f"{day}{year}{local:%H:%M:%S %Z}",
    )


def clock_time(moment: datetime, *, zone: tzinfo = UTC) -> str:
    """Return the day of the week and the minute of an instant, for the spans of a chart."""
    return f"{moment.astimezone(zone):%a %H:%M %Z}"


def log_time(moment: datetime, *, zone: tzinfo = UTC) -> str:
    """Return the time of a line in a log, to the millisecond."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def ago(moment: datetime | None, now: datetime, *, zone: tzinfo = UTC) -> Markup:
    """Return how far an instant is from now as a ``time`` element, which a script keeps true."""
    if moment is None:
        return escape(NONE)
    return Markup('<time data-relative datetime="{exact}" title="{title}">{text}</time>').format(
        exact=clock.rfc3339(moment), title=_exactly(moment, zone), text=relative(moment, now)
    )


def _exactly(moment: datetime, zone: tzinfo) -> str:
    """Return the whole instant in the zone, and in UTC if that is another one."""
    local, in_utc = moment.astimezone(zone), moment.astimezone(UTC)
    text = f"{local:%A, %-d %B %Y %H:%M:%S}.{local.microsecond // 1000:03} {local:%Z}"
    return text if local.utcoffset() == in_utc.utcoffset() else f"{text}, {in_utc:%H:%M:%S} UTC"


def reason(value: str | None) -> str:
    """Return a reason in plain words."""
    if value is None:
        return ""
    try:
        text = REASON_TEXTS[Reason(value)]
    except ValueError:
        return value
    return text[0].upper() + text[1:]


def pretty(value: Any) -> str:
    """Return a JSON value as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


# Each claims to be those after it: Edge says that it is Chrome and Safari, too.
_BROWSERS: Sequence[tuple[str, str]] = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Sequence[tuple[str, str]] = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST = 60


def program(user_agent: str | None) -> str:
    """Return ``Firefox on Windows`` for a browser, or else the beginning of the name."""
    if not user_agent:
        return "an unknown program"
    browser = next((name for token, name in _BROWSERS if token in user_agent), None)
    if browser is None:
        return user_agent[:_LONGEST]
    system = next((name for token, name in _SYSTEMS if token in user_agent), None)
    return f"{browser} on {system}" if system else browser


# curl makes these itself.
_HEADERS_OF_CURL = frozenset({"host", "content-length", "connection"})


def curl_command(request: Mapping[str, Any]) -> str:
    """Return the command that sends the request again, without the secrets that were redacted."""
    words = [f"curl -X {shlex.quote(request['method'])} {shlex.quote(request['url'])}"]
    for name, value in (request.get("headers") or {}).items():
        if name.lower() not in _HEADERS_OF_CURL:
            words.append(f"-H {shlex.quote(f'{name}: {value}')}")
    body = request.get("body")
    if body:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        words.append(f"--data-raw {shlex.quote(text)}")
    return " \\\n  ".join(words)


_OF_ZONE = (ago, clock_time, instant, log_time)
_OF_ALL_ZONES = (
    change,
    compact,
    curl_command,
    execution_status,
    job_status,
    milliseconds,
    number,
    program,
    reason,
)


def functions(zone: tzinfo) -> dict[str, Callable[..., Any]]:
    """Return the functions of templates, for a reader whose clocks are those of ``zone``."""
    named: dict[str, Callable[..., Any]] = {each.__name__: each for each in _OF_ALL_ZONES}
    return named | {each.__name__: partial(each, zone=zone) for each in _OF_ZONE}

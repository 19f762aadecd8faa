"""Forms that other schedulers read and Chronos does not, each with the field that does the same.

Only an expression that was not understood is looked up here, so nothing here can refuse one that
is. The forms come from the manuals of the schedulers that the messages name.
"""

import re
from collections.abc import Callable

_ZONE = (
    r"(?P<zone>(?-i:[A-Z][A-Za-z]+(?:/[A-Z][\w+\-]+)+)"
    r"|(?:UTC|GMT)?[+-]\d\d?(?::?\d\d)?|UTC|GMT|Z|[ECMP][SDE]?T|[CE]EST|BST|IST|JST)"
)
_DURATION = r"(?:\d+(?:\.\d+)?\s*(?:ns|us|ms|[smhdw])\s*)+"
_UNIT = r"(?P<unit>second|sec|minute|min|hour|hr|day|week|fortnight)s?"
_TIME = r"\d{1,2}:\d{2}(?::\d{2})?"
_DATE = r"\d{4}-\d{2}-\d{2}"
_YEAR = r"(?:\*|\?|[12]\d{3}(?:[-/,]\d+)*)"
_FIELDS = r"\S+(?: \S+){4}"

_NAME = r"(?:cron|schedule|expression|cron_?expression) ?[:=] ?"

#: No longer interval is advised, because none is accepted (see ``schedules``).
LONGEST_INTERVAL = 31_536_000

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNIT_OF_WORD = {
    "second": 1,
    "sec": 1,
    "minute": 60,
    "min": 60,
    "hour": 3600,
    "hr": 3600,
    "day": 86_400,
    "week": 604_800,
    "fortnight": 1_209_600,
}


def remedy(text: str) -> str | None:
    """Return the dialect of ``text`` and the form that Chronos has for it, or None if unknown."""
    for pattern, answer in _FORMS:
        if match := pattern.search(text):
            return answer(match)
    return None


def _interval(form: str, seconds: float) -> str:
    is_accepted = 1 <= seconds <= LONGEST_INTERVAL and seconds == int(seconds)
    value = f" {int(seconds)}" if is_accepted else ""
    return f"{form} is an interval; use schedule_type 'interval' with interval_seconds{value}."


def _duration(match: re.Match[str]) -> str:
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|[smhdw])", match["duration"])
    seconds = sum(float(number) * _UNITS.get(unit, 0) for number, unit in parts)
    return _interval(repr(match[0]), seconds)


def _every_unit(match: re.Match[str]) -> str:
    seconds = int(match["number"] or 1) * _UNIT_OF_WORD[match["unit"].lower()]
    return f"{_interval(repr(match[0]), seconds)} For a time of day, write '0 9 * * *'."


def _weeks(match: re.Match[str]) -> str:
    return (
        f"{match[0]!r} counts weeks, which no cron expression does; use schedule_type 'interval' "
        "with interval_seconds 1209600 (14 days) and starts_at."
    )


def _modulo(match: re.Match[str]) -> str:
    seconds = int(match["weeks"]) * _UNIT_OF_WORD["week"]
    return f"{_interval(repr(match[0]), seconds)} It counts from starts_at."


def _in_aws(match: re.Match[str]) -> str:
    *fields, _ = match["inner"].split() or [""]
    inner = " ".join(fields) if len(fields) == 5 else "0 9 * * MON"  # noqa: PLR2004 - fields
    return (
        f"{match[0]!r} is AWS's form; write the five fields alone, like {inner!r}. AWS counts "
        "days of week from SUN = 1, Chronos from SUN = 0, so use names. For the year, use "
        "starts_at and ends_at."
    )


def _zone_last(match: re.Match[str]) -> str:
    return (
        f"{match['zone']!r} is a time zone; write {match['fields']!r} here, and the zone in the "
        "field timezone."
    )


def _zone_first(match: re.Match[str]) -> str:
    rest = match["rest"].strip() or "0 9 * * *"
    zone = repr(match["zone"]) if match["zone"] else "the zone"
    return (
        f"'{match['name']}=' names a time zone; write {rest!r} here, and "
        f"{zone} in the field timezone."
    )


def _year(match: re.Match[str]) -> str:
    if match["year"] in {"*", "?"}:
        return f"The last field {match['year']!r} is the year's; write {match['fields']!r} alone."
    return (
        f"The last field {match['year']!r} is a year, which cron expressions do not have here; "
        f"write {match['fields']!r}, and use starts_at and ends_at."
    )


def _without_spaces(match: re.Match[str]) -> str:
    fixed = re.sub(r"\s*,\s*", ",", match[0])
    return f"Has a space within a list, but spaces separate fields; write {fixed!r}."


def _surrounded(match: re.Match[str]) -> str:
    inner = match["quoted"] or match["bare"] or ""
    return f"Has quotes or a name around the expression; write {inner.strip()!r} alone."


def _says(message: str) -> Callable[[re.Match[str]], str]:
    return lambda match: message.format(match[0])


def _form(
    pattern: str, answer: str | Callable[[re.Match[str]], str]
) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE), (
        _says(answer) if isinstance(answer, str) else answer
    )


_RHYTHM = "use schedule_type 'interval' with interval_seconds, or a cron expression"

#: In order: the first that fits answers.
_FORMS = [
    _form(
        r"^(?P<name>CRON_TZ|TZ)\s*=\s*[\"']?(?P<zone>[a-z+\-:][^\s\"']*|)[\"']?(?P<rest>.*)$",
        _zone_first,
    ),
    _form(
        rf"^(?:- )?(?:{_NAME})?(?P<quote>[\"'`])(?P<quoted>[^\"'`]+)(?P=quote)"
        rf"|^(?:- )?{_NAME}(?P<bare>[^\"'`]+?)(?: #.*)?$",
        _surrounded,
    ),
    _form(rf"^@every\s+(?P<duration>{_DURATION})$", _duration),
    _form(
        r"^@reboot\b",
        "'@reboot' has no instant; start the job with POST /api/v1/jobs/{{id}}/execute when the "
        "machine has started, or use schedule_type 'once' with run_at.",
    ),
    _form(
        r"^@(?:every_|\d+_)?(?P<unit>second|minute)s?$",
        "{0!r} is FreeBSD's; use '* * * * *' for every minute, '* * * * * *' for every second.",
    ),
    _form(
        r"^@(?:at|once)\b",
        "{0!r} names a single instant; use schedule_type 'once' with run_at.",
    ),
    _form(
        r"^rate\s*\((?P<number>\d*)\s*(?P<unit>minute|hour|day)s?\s*\)$",
        _every_unit,
    ),
    _form(
        r"^at\s*\(.*\)$",
        "{0!r} is AWS's single instant; use schedule_type 'once' with run_at and timezone.",
    ),
    _form(r"^cron\s*\((?P<inner>[^)]*)\)$", _in_aws),
    # The same without the brackets. Here the "?" would be an hour or a month.
    _form(r"^(?P<inner>\S+ \S+ (?:\? \S+ \S+|\S+ \S+ \?) \*)$", _in_aws),
    _form(
        r"^crontab\s*\(|\b(?:minute|hour|day_of_week)\s*=",
        "This is the form of Celery's crontab(...) or APScheduler; write the fields in the order "
        "minute, hour, day of month, month, day of week, like '30 7 * * 1'.",
    ),
    _form(
        r"\b(?:RRULE|FREQ|DTSTART|RDATE)\s*[:=;]",
        "This is a recurrence rule of iCalendar (RFC 5545); use a cron expression, schedule_type "
        "'interval' with interval_seconds for INTERVAL, starts_at for DTSTART, ends_at for UNTIL "
        "and max_runs for COUNT.",
    ),
    _form(
        r"^R\d*/(?:\d{4}-?\d\d|P)",
        "{0!r} begins a repetition of ISO 8601; use schedule_type 'interval' with "
        "interval_seconds, starts_at and max_runs.",
    ),
    _form(
        r"^P(?=[\dT])[\dYMWDTHS.,]+$",
        "{0!r} is a duration; use schedule_type 'interval' with interval_seconds.",
    ),
    _form(
        rf"^{_DATE}(?:[T ]{_TIME}\S*)?(?: \S+)?$",
        "{0!r} is a single instant; use schedule_type 'once' with run_at, like "
        "'2026-11-21T09:00:00Z'.",
    ),
    _form(rf"^(?P<fields>{_FIELDS}) (?P<year>[12]\d{{3}}(?:[-/,]\d+)*)$", _year),
    _form(rf"^(?P<fields>{_FIELDS} \S+) (?P<year>{_YEAR})$", _year),
    _form(
        r"(?:^|\s)(?:\*|\d{4})(?:-[\d*.,/~]+){2}(?=\s|$)|\.\.|^\*:"
        r"|^[\w*,-]+ \d{1,2}:\d{2}(?::\d{2})?$|^(?:OnCalendar|OnUnit\w+)=",
        "This is systemd's OnCalendar form; write five fields instead: 'Mon..Fri *-*-* 09:00' is "
        "'0 9 * * MON-FRI'. A time zone belongs in the field timezone.",
    ),
    _form(
        r"(?:^|[\s,])H(?=[\s,/(]|$)|\bH\(\d",
        "'H' spreads jobs in Jenkins; here jitter_seconds does: write 0 instead of 'H' and '*/15' "
        "instead of 'H/15', and set jitter_seconds.",
    ),
    _form(
        r"(?:^|[\s,])R(?=[\s,/(]|$)",
        "'R' is a random value; here jitter_seconds spreads jobs: write a value instead of 'R', "
        "and set jitter_seconds.",
    ),
    _form(
        r"(?:^|[\s,])\d*~\d*(?=[\s,/]|$)",
        "'~' picks a random value; here jitter_seconds spreads jobs: write the first value of the "
        "range, and set jitter_seconds.",
    ),
    _form(rf"^(?P<fields>{_FIELDS}(?: \S+)?) {_ZONE}$", _zone_last),
    _form(
        r"^#| #(?!\d)",
        "Has a comment; leave out everything from '#' on.",
    ),
    _form(
        rf"^{_FIELDS} (?:\S+ )?(?:[./]\S*/\S*|(?:python|bash|sh|curl|wget|echo|php|node)\b)",
        "Has a command after the five fields; write the fields alone, and put what the job does "
        "into its type and payload.",
    ),
    _form(
        r"\b(?:every|each)\s+(?:2nd|2|second|two|other)\s+weeks?\b|\b(?:bi-?weekly|fortnightly)\b"
        r"|\b(?:every|each)\s+(?:other|second|2nd)\s+(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat"
        r"(?:ur)?|sun)(?:day)?\b|\bfortnight\b",
        _weeks,
    ),
    _form(rf"^(?:@?every |each )?(?P<number>\d+) ?{_UNIT}$", _every_unit),
    _form(rf"^(?:@?every|each) (?P<number>){_UNIT}$", _every_unit),
    _form(
        r"^@every\b",
        "{0!r} is an interval; use schedule_type 'interval' with interval_seconds.",
    ),
    _form(rf"^(?:every|each)?\s*(?P<duration>{_DURATION})$", _duration),
    _form(
        r"^(?P<word>hourly|daily|weekly|monthly|yearly|annually|midnight)$",
        lambda match: f"{match[0]!r} is a word; write '@{match[0].lower()}'.",
    ),
    _form(
        r"^(?:quarterly|semi-?annually|minutely|@quarterly|@semiannually|@minutely)$",
        "{0!r} is no macro here; write '* * * * *' for every minute, '0 0 1 */3 *' for every "
        "quarter, '0 0 1 1,7 *' for every half-year.",
    ),
    _form(
        rf"^(?P<time>{_TIME})$",
        "{0!r} is a time of day; write minute and hour as fields: 09:30 is '30 9 * * *'.",
    ),
    _form(
        r"^\S+(?: \S+){3,4} L$",
        "'L' alone as the day of week is Saturday in Quartz; write SAT. 5L is the last Friday of "
        "the month.",
    ),
    _form(r"\w+%(?P<weeks>\d{1,2})(?:\+\d+)?", _modulo),
    _form(
        r"\w+-\w+#\d",
        "'#' goes with a single day of week; write 'MON#2,TUE#2' instead of 'MON-TUE#2'.",
    ),
    _form(
        r"\d+-\d+W",
        "'W' goes with a single day of month; write '1W,2W' instead of '1-2W'.",
    ),
    _form(
        # Not where at least two fields were given: their errors say more.
        r"^(?!(?:[\d*?,/\-]+ ){2}).*\b(?:every|everyday|each|daily|weekly|monthly|hourly|midnight|"
        r"noon|o'?clock|weekdays?|weekends?|days?|hours?|minutes?|seconds?|weeks?|months?|today|"
        r"tomorrow|next|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|\d+\s*[ap]m)\b",
        f"This is natural language, which is not understood; {_RHYTHM} like '0 9 * * MON-FRI' "
        "(minute, hour, day of month, month, day of week).",
    ),
    _form(r"^[\w*?/#, -]+(?:, | ,)[\w*?/#, -]+$", _without_spaces),
    _form(
        r"^[^ ;|&]+(?: [^ ;|&]+){4,5} ?[;|&]+ ?[^ ;|&]+(?: [^ ;|&]+){4,5}$"
        r"|^\S+(?: [\d*?,/\-a-z#]+){9,}$",
        "Has more than one expression; make a job for each.",
    ),
]

"""Crontabs of a user, and files of ``/etc/cron.d``. See crontab(5) of Debian and of cronie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from chronos_client.importers import documents, times
from chronos_client.importers.http.shell import read_command
from chronos_client.importers.outcome import (
    Draft,
    ImportFinding,
    LeftOut,
    Outcome,
    SourcePlace,
)

_VARIABLE = re.compile(r"\s*([A-Za-z_]\w*|\"[^\"]*\"|'[^']*')\s*=\s*(.*?)\s*")
_FIELDS = 5
#: A comment that explains the fields below it. No line up to it is about a job.
_LEGEND = re.compile(r"m\s+h\s+dom\s+mon\s+dow\b|(?:\*\s+){5}|(?:\|\s+){4}|.*[.:]-{4,}")
_BEFORE_PROGRAM = re.compile(r"([a-z_][\w-]*)\s+(?:/\S+/)?(?:curl|wget)\s")
_RANDOM = "A random time ('~') has no equal. Write the first one, and set jitter_seconds."


@dataclass(slots=True)
class _Environment:
    """The lines above a job: a comment, and variables. Some of them mean something to cron."""

    variables: dict[str, str] = field(default_factory=dict)
    timezone: str | None = None
    notify: list[str] | None = None
    comment: list[str] = field(default_factory=list)


def read(text: str, *, has_users: bool = False, timezone: str | None = None) -> Outcome:
    """Return the jobs of a crontab. ``has_users`` is for /etc/cron.d, whose lines name a user.

    ``timezone`` is the zone of the machine, for lines without ``CRON_TZ``.
    """
    documents.check_size(text)
    outcome, environment = Outcome(), _Environment()
    for place, line in _lines(text):
        if line.startswith("#"):
            _comment(environment, line.lstrip("# ").rstrip())
        elif not line:
            environment.comment.clear()
        elif variable := _VARIABLE.fullmatch(line):
            environment.comment.clear()
            _set(environment, variable[1].strip("\"'"), _unquoted(variable[2]), place, outcome)
        else:
            with outcome.entry(place, line) as draft:
                _read_line(line, draft, environment, has_users=has_users, timezone=timezone)
            environment.comment.clear()
    return outcome


def jobs_of(text: str, *, has_users: bool = False) -> dict[str, list[str]]:
    """Return the names of the jobs of each command, as cron writes the command into its log.

    Lines that begin with "-" are missing, because cronie does not log them.
    """
    outcome = read(text, has_users=has_users)
    lines = {place.line: line for place, line in _lines(text)}
    found: dict[str, list[str]] = {}
    for name, place in outcome.places.items():
        if lines[place.line].startswith("-"):
            continue
        command = _divided(lines[place.line])[1]
        if has_users:
            command = command.split(maxsplit=1)[1]
        found.setdefault(command, []).append(name)
    return found


def _comment(environment: _Environment, text: str) -> None:
    """Add a line to the comment above a job. Legends and jobs that are off say nothing of it."""
    if _LEGEND.match(text) or _is_job(text):
        environment.comment.clear()
    elif re.search(r"\w", text):
        environment.comment.append(text.strip("-=* "))


def _is_job(text: str) -> bool:
    try:
        times.classic(_divided(text)[0])
    except LeftOut:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[SourcePlace, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        yield SourcePlace(f"line {number}", number), line.strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in {"'", '"'} and value[-1:] == value[0] else value


def _set(
    environment: _Environment, name: str, value: str, place: SourcePlace, outcome: Outcome
) -> None:
    environment.variables[name] = value
    match name:
        case "CRON_TZ":
            environment.timezone = value or None
        case "TZ":
            outcome.findings.append(
                ImportFinding(
                    place,
                    f"TZ={value}",
                    "It is the zone of commands alone. Times follow CRON_TZ, or the machine. Give "
                    f"--timezone {value} if the machine's zone is meant.",
                    is_left_out=False,
                )
            )
        case "MAILTO":
            addresses = [each.strip() for each in value.split(",") if each.strip()]
            local = [each for each in addresses if "@" not in each]
            environment.notify = [each for each in addresses if "@" in each]
            if local:
                environment.notify = environment.notify or None
                outcome.leave_out(
                    place,
                    f"MAILTO={value}",
                    f"{', '.join(local)} is a mailbox of the machine. Give an address.",
                )
        case "RANDOM_DELAY":
            outcome.leave_out(
                place, f"RANDOM_DELAY={value}", "A delay drawn at each start has no equal."
            )


def _read_line(
    line: str, draft: Draft, environment: _Environment, *, has_users: bool, timezone: str | None
) -> None:
    expression, command = _divided(line)
    command = _without_input(_after_user(command) if has_users else command)
    if not has_users and (first := _BEFORE_PROGRAM.match(command)):
        raise LeftOut(
            f"It runs {first[1]!r} around curl or wget. If that is a user, the kind is cron.d."
        )
    request = read_command(command, draft, environment.variables)
    times.set_cron(draft, _expression(expression), environment.timezone)
    if environment.timezone is None:
        times.set_zone_of_machine(draft, timezone)
    request.set_in(draft)
    draft.set(name=request.name, max_attempts=1, notify=environment.notify)
    draft.describe("\n".join(environment.comment))


def _after_user(command: str) -> str:
    user, *rest = command.split(maxsplit=1)
    if PurePosixPath(user).name in {"curl", "wget"}:
        raise LeftOut(f"It names no user before {user}. Without users the kind is crontab.")
    if not rest:
        raise LeftOut(f"The line has no command after the user {user!r}.")
    return rest[0]


def _divided(line: str) -> tuple[str, str]:
    """Return the times of a line, and the rest. Raises :class:`LeftOut`."""
    if line.startswith("@"):
        macro, *rest = line.split(maxsplit=1)
        if macro.lower() == "@reboot":
            raise LeftOut("It runs when its machine starts, which is no time of a clock.")
        if macro.lower() not in times.MACROS:
            raise LeftOut(f"{macro!r} is not a time that Chronos knows.")
        if not rest:
            raise LeftOut(f"The line has no command after {macro}.")
        return macro, rest[0]
    parts = line.split(maxsplit=_FIELDS)
    if len(parts) <= _FIELDS:
        raise LeftOut("The line has no command after five fields.")
    # cronie keeps quiet in the log about a line that begins with "-".
    expression = " ".join(parts[:_FIELDS]).removeprefix("-")
    if "~" in expression:
        raise LeftOut(_RANDOM)
    return expression, parts[_FIELDS]


def _expression(text: str) -> str:
    """Return an expression that all crons read alike. Raises :class:`LeftOut`."""
    expression = times.classic(text)
    if step := re.search(r"(?:^|[\s,])(\w+)/(\d+)", expression):
        raise LeftOut(
            f"{step[0].strip(' ,')!r} is {step[1]} alone to some crons, and every {step[2]} from "
            f"{step[1]} on to others. Write {step[1]}, or a range with the step."
        )
    return expression


def _without_input(command: str) -> str:
    r"""Return a command in which ``\%`` is a per cent sign. Any other one begins its input."""
    if re.search(r"(?<!\\)%", command):
        raise LeftOut("A '%' ends the command and begins its input, which a job does not have.")
    return command.replace("\\%", "%")

"""A finding: the state of one thing, how bad that is, and the remedy."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError

from chronos_common.errors import Unavailable


class Level(StrEnum):
    """How bad a finding is, in growing order."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


#: Exit codes of the command.
EXIT_CODES = {Level.OK: 0, Level.WARNING: 1, Level.PROBLEM: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing, with a remedy unless all is well."""

    topic: str
    level: Level
    says: str
    remedy: str | None = None


def fine(topic: str, says: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(topic, Level.OK, says)


def warning(topic: str, says: str, remedy: str) -> Finding:
    """Return the finding of a fault that lets jobs run."""
    return Finding(topic, Level.WARNING, says, remedy)


def problem(topic: str, says: str, remedy: str) -> Finding:
    """Return the finding of a fault that keeps jobs from running, or will soon."""
    return Finding(topic, Level.PROBLEM, says, remedy)


def worst(findings: Sequence[Finding]) -> Level:
    """Return the level of the worst finding."""
    return max((each.level for each in findings), key=list(Level).index, default=Level.OK)


Check = Callable[[], Iterable[Finding]]


def collect(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield the findings of the checks. An error of one is a finding, and the others still run."""
    for topic, check in checks:
        try:
            yield from check()
        except (SQLAlchemyError, Unavailable) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            yield problem(
                topic,
                f"This could not be looked at: {reason[0] if reason else type(error).__name__}",
                "See what is said of the database and of Redis above.",
            )


def span(duration: timedelta) -> str:
    """Return a duration with one unit, for people."""
    seconds = duration.total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"

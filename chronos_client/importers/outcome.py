"""The outcome of an import: jobs as in a file of jobs as code, and findings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from chronos_client.errors import ClientError

Job = dict[str, Any]
T = TypeVar("T")

MAX_JOBS = 1000
_LONGEST_NAME = 200
_LONGEST_DESCRIPTION = 2000


class SourceUnreadable(ClientError):
    """The text does not have the form of its kind of source."""


class LeftOut(Exception):
    """A job that cannot be said exactly. The message is the reason."""


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """Where something stands in the source: the name of its entry, and the line if it is known."""

    entry: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ImportFinding:
    """Something to know about an entry.

    ``job`` is the name of the job that was made of it, or None if none was. A finding with
    ``is_left_out`` names something of the source that no job does. Others explain.
    """

    place: SourcePlace
    what: str
    why: str
    job: str | None = None
    is_left_out: bool = True

    def document(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {
            "where": self.place.entry,
            "line": self.place.line,
            "what": self.what,
            "why": self.why,
            "job": self.job,
            "left_out": self.is_left_out,
        }


@dataclass(slots=True)
class Outcome:
    """The jobs and the findings of one source, in its order."""

    jobs: list[Job] = field(default_factory=list)
    findings: list[ImportFinding] = field(default_factory=list)
    #: Where each job stands in the source, by its name.
    places: dict[str, SourcePlace] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether nothing of the source was left out."""
        return not any(each.is_left_out for each in self.findings)

    def leave_out_past(self, now: datetime) -> None:
        """Leave out jobs whose only instant has passed, because the server refuses them."""
        for job in [*self.jobs]:
            at = job.get("run_at")
            if at is not None and datetime.fromisoformat(at) < now:
                self.jobs.remove(job)
                self.findings = [each for each in self.findings if each.job != job["name"]]
                self.leave_out(SourcePlace(job["name"]), job["name"], f"Its instant {at} is past.")

    def leave_out(self, place: SourcePlace, what: str, why: str) -> None:
        """Report something of the source that becomes no job."""
        self.findings.append(ImportFinding(place, what, why))

    @contextmanager
    def entry(self, place: SourcePlace, what: str) -> Iterator["Draft"]:
        """Collect a job. :class:`LeftOut` inside leaves it out, and its details with it."""
        draft = Draft(place)
        try:
            yield draft
        except LeftOut as reason:
            self.leave_out(place, what, str(reason))
            return
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # Sources come from anywhere: a list may stand where a number should.
            self.leave_out(place, what, f"A member has an unexpected form: {error}.")
            return
        if draft.fields:
            self._add(draft)

    def _add(self, draft: "Draft") -> None:
        if len(self.jobs) == MAX_JOBS:
            raise SourceUnreadable(
                f"The source has more than {MAX_JOBS} jobs, which is more than a file may have; "
                "divide it."
            )
        job = draft.fields | {"name": self._free_name(str(draft.fields["name"]).strip())}
        self.jobs.append({name: job[name] for name in sorted(job, key=_place_of)})
        self.places[job["name"]] = draft.place
        self.findings += [
            ImportFinding(draft.place, what, why, job["name"], is_left_out)
            for what, why, is_left_out in draft.remarks
        ]

    def _free_name(self, wanted: str) -> str:
        wanted = wanted[:_LONGEST_NAME] or "Imported job"
        used = {job["name"] for job in self.jobs}
        number, name = 1, wanted
        while name in used:
            number += 1
            suffix = f" ({number})"
            name = wanted[: _LONGEST_NAME - len(suffix)] + suffix
        return name


@dataclass(slots=True)
class Draft:
    """A job while its entry is read."""

    place: SourcePlace
    fields: Job = field(default_factory=dict)
    remarks: list[tuple[str, str, bool]] = field(default_factory=list)

    def set(self, **fields: Any) -> None:
        """Set fields of the job. None leaves one out."""
        self.fields |= {name: value for name, value in fields.items() if value is not None}

    def describe(self, text: str | None) -> None:
        """Set the description, unless it is empty."""
        if text and text.strip():
            self.set(description=text.strip()[:_LONGEST_DESCRIPTION])

    def lacks(self, what: str, why: str) -> None:
        """Report a detail that the job does not have."""
        self.remarks.append((what, why, True))

    def note(self, what: str, why: str) -> None:
        """Explain something that the job does in its own way."""
        self.remarks.append((what, why, False))


#: The order of a job's fields in the file. Others follow.
_ORDER = (
    "name", "description", "status", "type", "payload", "schedule_type", "cron_expression",
    "day_match", "timezone", "interval_seconds", "run_at", "starts_at", "ends_at",
    "jitter_seconds", "max_runs",
)  # fmt: skip


def _place_of(field_name: str) -> tuple[int, str]:
    known = _ORDER.index(field_name) if field_name in _ORDER else len(_ORDER)
    return known, field_name


def refuse_unknown(entry: Mapping[str, Any], known: Iterable[str], draft: Draft) -> None:
    """Report the members of an entry that no job has, if they say something."""
    for name in sorted(entry.keys() - set(known)):
        if entry[name] not in (None, "", False, [], {}, 0):
            draft.lacks(name, "It has no equal that this importer knows.")


def expect(value: Any, kind: type[T] | tuple[type, ...], what: str) -> Any:
    """Return ``value`` if it is of that kind. Raises :class:`LeftOut`."""
    if not isinstance(value, kind):
        raise LeftOut(f"{what} is missing, or is not what it should be.")
    return value


def number(value: Any, what: str, convert: Callable[[Any], T]) -> T:
    """Return a number that may be written as a text. Raises :class:`LeftOut`."""
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise LeftOut(f"{what} is not a number: {value!r}.") from error

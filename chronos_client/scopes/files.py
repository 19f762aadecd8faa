"""A file of jobs as code: a scope, defaults and jobs. The server checks the jobs themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_client.errors import FileInvalid
from chronos_client.scopes.positions import Document, Path, read

_MEMBERS = ("scope", "defaults", "jobs")
#: Fields of a job that it cannot have from the defaults.
_OF_ONE_JOB = ("key", "id", "name")


@dataclass(frozen=True, slots=True)
class JobsFile:
    """A file that can be sent. Its jobs have the defaults that they do not give."""

    document: Document
    scope: str
    jobs: Sequence[Mapping[str, Any]]

    def faults_of(self, errors: Sequence[Mapping[str, Any]]) -> FileInvalid | None:
        """Return the errors of an answer at their places in the file, or None for none."""
        for error in errors:
            path = self._path(error)
            where = f"{_label(self.jobs, error)}{error.get('field', '')}"
            self.document.refuse(path, f"{where}: {error.get('message')}")
        return FileInvalid(self.document.name, self.document.faults) if errors else None

    def _path(self, error: Mapping[str, Any]) -> Path:
        names = tuple(each for each in str(error.get("field", "")).split(".") if each)
        fields: Path = tuple(int(each) if each.isdecimal() else each for each in names)
        index = error.get("index")
        if index is None:
            return fields
        if fields and fields[0] not in self._given(index) and fields[0] in self._defaults():
            return ("defaults", *fields)
        return ("jobs", int(index), *fields)

    def _given(self, index: int) -> Mapping[str, Any]:
        given: Mapping[str, Any] = self.document.value["jobs"][index]
        return given

    def _defaults(self) -> Mapping[str, Any]:
        defaults: Mapping[str, Any] = self.document.value.get("defaults") or {}
        return defaults


def _label(jobs: Sequence[Mapping[str, Any]], error: Mapping[str, Any]) -> str:
    index = error.get("index")
    if index is None:
        return ""
    job = jobs[int(index)]
    return f"job {str(job.get('key', job.get('name', index)))!r}: "


def parse(text: str, *, name: str, environment: Mapping[str, str]) -> JobsFile:
    """Return the file in ``text``. Raises :class:`FileInvalid` with all of its faults."""
    document = read(text, name=name, environment=environment)
    value = document.value
    if not isinstance(value, dict):
        document.refuse((), "Must have 'scope' and 'jobs'. 'chronos schema' describes it.")
        document.check()
        return JobsFile(document, "", ())
    for member in value:
        if member not in _MEMBERS:
            document.refuse((member,), f"{member!r} is unknown: {', '.join(_MEMBERS)} are known.")
    scope = value.get("scope")
    if not isinstance(scope, str) or not scope.strip():
        document.refuse(("scope",), "'scope' must be the name of the set of jobs, as a text.")
    jobs = list(_jobs(document, value.get("jobs"), _defaults(document, value)))
    document.check()
    return JobsFile(document, str(scope), jobs)


def _defaults(document: Document, value: Mapping[str, Any]) -> Mapping[str, Any]:
    defaults = value.get("defaults") or {}
    if not isinstance(defaults, dict):
        document.refuse(("defaults",), "'defaults' must have fields of jobs.")
        return {}
    for name in _OF_ONE_JOB:
        if name in defaults:
            document.refuse(("defaults", name), f"{name!r} is of one job: it has no default.")
    return defaults


def _jobs(
    document: Document, jobs: Any, defaults: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    if not isinstance(jobs, list):
        document.refuse(("jobs",), "'jobs' must be a list of jobs.")
        return
    for index, job in enumerate(jobs):
        if isinstance(job, dict):
            yield {**defaults, **job}
        else:
            document.refuse(("jobs", index), "A job must have fields, such as 'name'.")
            yield {}

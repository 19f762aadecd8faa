"""Jobs: find, read, change and run them. Bulk changes of many jobs, and trials of schedules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import Any, Literal, Unpack
from urllib.parse import quote

from chronos_client import documents, errors, pages
from chronos_client.models import (
    BulkChange,
    Execution,
    Job,
    RunRequest,
    SchedulePreview,
    WhyAnswer,
)
from chronos_client.pages import LOOKED_AT, NAMED, IdBeginning
from chronos_client.transport import Transport

BulkAction = Literal["pause", "resume", "execute", "delete", "tag"]


@dataclass(frozen=True, slots=True)
class PutResult:
    """A job that was put by its name, and whether that changed anything."""

    job: Job
    outcome: Literal["created", "changed", "unchanged"]


class Jobs:
    """The jobs of a workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, page_items: int = pages.PAGE_ITEMS, **filters: Any) -> Iterator[Job]:
        """Yield the jobs, page by page as they are used.

        ``filters`` are those of ``GET /jobs``: status, type, name, tag, search, next_run_after,
        next_run_before, last_outcome and sort.
        """
        return pages.items(self._transport, "/jobs", Job, filters, page_items=page_items)

    def page(self, most: int, **filters: Any) -> tuple[Job, ...]:
        """Return at most so many jobs, up to 100, by one request."""
        content = self._transport.send("GET", "/jobs", query={**filters, "limit": most}).content
        return tuple(documents.read(Job, each) for each in content["items"])

    def count(self, **filters: Any) -> tuple[int, bool]:
        """Return how many jobs there are, and whether that is exact. It stops at 10,000."""
        return pages.total(self._transport, "/jobs", filters)

    def get(self, job_id: str) -> Job:
        """Return a job with its next instants. Raises :class:`ObjectMissing`."""
        return self._job("GET", f"/jobs/{quote(job_id, safe='')}")

    def find(self, reference: str) -> Job:
        """Return the job with this id, this name, or the only one whose name or id begins so.

        The beginning of an id has at least eight digits. Raises :class:`ObjectMissing`, or
        :class:`SeveralMatches` with the jobs that it may mean.
        """
        beginning = IdBeginning.read(reference)
        if beginning and beginning.is_whole:
            return self.get(reference)
        found = list(islice(self.list(name=reference), NAMED))
        if not found:
            found = [*self._by_name_beginning(reference)]
            found += self._by_id_beginning(beginning) if beginning else ()
        match found:
            case []:
                raise errors.missing(f"There is no job {reference!r} in this workspace.")
            case [job]:
                return self.get(job.id)
            case _:
                matches = [f"{job.id}  {job.name}" for job in found[:NAMED]]
                raise errors.SeveralMatches(reference, matches)

    def _by_name_beginning(self, reference: str) -> Iterator[Job]:
        beginning = reference.casefold()
        for job in islice(self.list(search=reference), LOOKED_AT):
            if job.name.casefold().startswith(beginning):
                yield job

    def _by_id_beginning(self, beginning: IdBeginning) -> Iterator[Job]:
        for job in islice(self.list(as_of=beginning.last), LOOKED_AT):
            if job.created_at < beginning.first:
                return
            if beginning.begins(job.id):
                yield job

    def create(self, definition: Mapping[str, Any]) -> Job:
        """Create a job from its definition, as ``POST /jobs`` takes it."""
        return self._job("POST", "/jobs", body=definition)

    def update(
        self, job_id: str, changes: Mapping[str, Any], *, version: int | None = None
    ) -> Job:
        """Change some fields. With ``version``, refuse if the job was changed meanwhile."""
        return self._job("PATCH", f"/jobs/{job_id}", body=changes, headers=_if_match(version))

    def put(self, name: str, definition: Mapping[str, Any]) -> PutResult:
        """Create the job of this name, or replace its definition.

        A job that is defined so already stays untouched, with its version and its phase. If others
        change the job at the same moment, the result says that this call has changed it.
        """
        before = next(self.list(name=name, page_items=1), None)
        reply = self._transport.send(
            "PUT", f"/jobs/by-name/{quote(name, safe='')}", body=definition
        )
        job = documents.read(Job, reply.content)
        if reply.status == HTTPStatus.CREATED:
            return PutResult(job, "created")
        is_same = before is not None and before.version == job.version
        return PutResult(job, "unchanged" if is_same else "changed")

    def delete(self, job_id: str, *, version: int | None = None) -> None:
        """Delete a job. With ``version``, refuse if the job was changed meanwhile."""
        self._transport.send("DELETE", f"/jobs/{job_id}", headers=_if_match(version))

    def pause(self, job_id: str, *, until: datetime | None = None, note: str | None = None) -> Job:
        """Stop following the job's schedule, until an instant if one is given."""
        given = {"until": until and until.isoformat(), "note": note}
        body = {name: value for name, value in given.items() if value}
        return self._job("POST", f"/jobs/{job_id}/pause", body=body)

    def resume(self, job_id: str) -> Job:
        """Follow the job's schedule again."""
        return self._job("POST", f"/jobs/{job_id}/resume")

    def run(self, job_id: str, **options: Unpack[RunRequest]) -> Execution:
        """Run the job beside its schedule, now or as the options say. Return the execution.

        It has yet to run, unless it ended within ``wait_seconds``.
        """
        body = documents.written(options) or None
        reply = self._transport.send("POST", f"/jobs/{job_id}/execute", body=body)
        return documents.read(Execution, reply.content)

    def why(self, job_id: str, at: datetime) -> WhyAnswer:
        """Return why the job did or did not run at an instant."""
        reply = self._transport.send("GET", f"/jobs/{job_id}/why", query={"at": at})
        return documents.read(WhyAnswer, reply.content)

    def executions(
        self, job_id: str, *, page_items: int = pages.PAGE_ITEMS, **filters: Any
    ) -> Iterator[Execution]:
        """Yield the job's executions, the latest first. ``filters`` are those of the API."""
        return pages.items(
            self._transport,
            f"/jobs/{job_id}/executions",
            Execution,
            filters,
            page_items=page_items,
        )

    def bulk(
        self,
        action: BulkAction,
        *,
        ids: Sequence[str] | None = None,
        chosen_by: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """Do one thing to up to 1,000 jobs, by their ids or by a filter, as the API answers it.

        ``options`` are those of the action: ``note`` and ``until`` of a pause, ``add`` and
        ``remove`` of tags. :meth:`BulkChanges.start` changes more jobs.
        """
        which = {"ids": list(ids)} if ids is not None else {"filter": dict(chosen_by or {})}
        body = {**which, "dry_run": dry_run, **options}
        return dict(self._transport.send("POST", f"/jobs/bulk/{action}", body=body).content)

    def _job(self, method: str, path: str, **options: Any) -> Job:
        return documents.read(Job, self._transport.send(method, path, **options).content)


class BulkChanges:
    """The changes of many jobs that the server makes in the background."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(
        self,
        action: BulkAction,
        chosen_by: Mapping[str, Any],
        *,
        matched: int | None = None,
        **options: Any,
    ) -> BulkChange:
        """Begin to change all jobs that a filter finds, up to a million.

        ``matched`` is the number that :meth:`Jobs.bulk` counted. If another number matches now,
        nothing begins. ``options`` are those of the action, for example ``note`` of a pause.
        """
        body = {"filter": dict(chosen_by), "in_background": True, "matched": matched, **options}
        given = {name: value for name, value in body.items() if value is not None}
        reply = self._transport.send("POST", f"/jobs/bulk/{action}", body=given)
        return documents.read(BulkChange, reply.content)

    def list(self) -> Iterator[BulkChange]:
        """Yield the bulk changes, the latest first."""
        return pages.items(self._transport, "/bulk-changes", BulkChange, {})

    def get(self, change_id: str) -> BulkChange:
        """Return a bulk change: how far it is, and its results so far."""
        reply = self._transport.send("GET", f"/bulk-changes/{change_id}")
        return documents.read(BulkChange, reply.content)

    def cancel(self, change_id: str) -> BulkChange:
        """End a bulk change, and return it. Jobs that it has changed stay so."""
        reply = self._transport.send("POST", f"/bulk-changes/{change_id}/cancel")
        return documents.read(BulkChange, reply.content)

    def watch(self, change_id: str, *, timeout: float = 86_400.0) -> Iterator[BulkChange]:
        """Yield the change every second until it has ended.

        Raises :class:`~chronos_client.errors.WaitTimedOut` after ``timeout`` seconds.
        """
        return pages.watch(
            lambda: self.get(change_id),
            lambda change: change.is_finished,
            name=f"Bulk change {change_id}",
            timeout=timeout,
        )


class Schedules:
    """Schedules without a job."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def preview(self, **schedule: Any) -> SchedulePreview:
        """Return a schedule in plain words, with its next instants.

        ``schedule`` has the fields of a job's schedule, and ``count`` and ``after``.
        """
        reply = self._transport.send("POST", "/schedules/preview", body=schedule)
        return documents.read(SchedulePreview, reply.content)

    def explain(
        self, expression: str, *, timezone: str | None = None, count: int | None = None
    ) -> SchedulePreview:
        """Return a cron expression in plain words, with its next instants."""
        return self.preview(
            schedule_type="cron",
            cron_expression=expression,
            **({"timezone": timezone} if timezone else {}),
            **({"count": count} if count else {}),
        )


def _if_match(version: int | None) -> Mapping[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}

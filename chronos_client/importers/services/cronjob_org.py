"""Jobs of cron-job.org, from ``GET /jobs`` or ``GET /jobs/<id>`` of its API."""

import base64
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from chronos_client.importers import documents, times
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import (
    Draft,
    LeftOut,
    Outcome,
    SourcePlace,
    expect,
    refuse_unknown,
)

_METHODS = ("GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH")
_FIELDS = (
    ("minute", "minutes"),
    ("hour", "hours"),
    ("day of month", "mdays"),
    ("month", "months"),
    ("day of week", "wdays"),
)
#: Members that the importer reads, and those about the past or about the service's pages.
_KNOWN = (
    "jobId", "enabled", "title", "saveResponses", "url", "lastStatus", "lastDuration",
    "lastExecution", "nextExecution", "type", "requestTimeout", "redirectSuccess", "folderId",
    "schedule", "requestMethod", "auth", "notification", "extendedData",
)  # fmt: skip
_DEFAULT_TIMEOUT = 30


def read(text: str) -> Outcome:
    """Return the jobs. Only the answer for one job has its headers and its body."""
    outcome = Outcome()
    value = documents.read_json(text)
    found = documents.entries(value, "jobs")
    for number, each in documents.mappings(found):
        # "job" is the form in which the API takes one.
        wrapped = [each[member] for member in ("jobDetails", "job") if member in each]
        job = wrapped[0] if wrapped and isinstance(wrapped[0], dict) else each
        name = str(job.get("title") or job.get("url") or f"job {number}")
        with outcome.entry(SourcePlace(name), f"job {name}") as draft:
            draft.set(name=name, status=None if job.get("enabled", True) else "paused")
            _read_target(job, draft)
            _read_schedule(expect(job.get("schedule"), dict, "schedule"), draft)
            refuse_unknown(job, _KNOWN, draft)
    return outcome


def _read_target(job: dict[str, Any], draft: Draft) -> None:
    timeout = job.get("requestTimeout") or _DEFAULT_TIMEOUT
    request = HttpRequest(
        str(job.get("url", "")),
        method=_METHODS[expect(job.get("requestMethod", 0), int, "requestMethod")],
        timeout=timeout if timeout > 0 else _DEFAULT_TIMEOUT,
        follows_redirects=False,
    )
    if "extendedData" not in job:
        draft.lacks(
            "extendedData", "The list has no headers and no body. Read each job by its id."
        )
    extended = job.get("extendedData") or {}
    # An empty set of headers is an empty list there.
    for name, value in (extended.get("headers") or {}).items():
        request.add_header(name, value)
    request.body = extended.get("body") or None
    auth = job.get("auth") or {}
    if auth.get("enable"):
        encoded = base64.b64encode(f"{auth.get('user')}:{auth.get('password')}".encode())
        request.add_header("Authorization", f"Basic {encoded.decode()}")
    request.set_in(draft, timeout="requestTimeout")
    draft.set(max_attempts=1, misfire_policy="skip")
    if job.get("redirectSuccess"):
        draft.lacks(
            "redirectSuccess", "An answer 3xx is a failure, unless success_statuses lists it."
        )
    if (job.get("notification") or {}).get("onSuccess"):
        draft.lacks("onSuccess", "Only failures send an e-mail.")


def _read_schedule(schedule: dict[str, Any], draft: Draft) -> None:
    fields = []
    for ours, theirs in _FIELDS:
        values = expect(schedule.get(theirs, [-1]), list, theirs)
        text = "*" if values == [-1] else ",".join(str(int(each)) for each in values)
        times.check_field(ours, text)
        fields.append(text)
    if fields[2] != "*" and fields[4] != "*":
        raise LeftOut("It names days of month and of week. Which of them count is not documented.")
    zone = schedule.get("timezone") or "UTC"
    times.set_cron(draft, " ".join(fields), zone)
    if expiry := schedule.get("expiresAt"):
        moment = datetime.strptime(str(expiry), "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo(zone))
        draft.set(ends_at=times.written(moment))

"""Jobs of Google Cloud Scheduler, from ``gcloud scheduler jobs list --format=json``."""

import base64
import binascii
from typing import Any

from chronos_client.importers import documents, times
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import (
    Draft,
    LeftOut,
    Outcome,
    SourcePlace,
    refuse_unknown,
)

#: Headers that Google sets by itself.
_OWN_HEADERS = {"user-agent", "content-length", "host"}
#: Members that the importer reads, and those about the past.
_KNOWN = (
    "name", "description", "schedule", "timeZone", "state", "attemptDeadline", "httpTarget",
    "retryConfig", "scheduleTime", "lastAttemptTime", "userUpdateTime", "status",
)  # fmt: skip
_DEFAULT_DEADLINE = "180s"
_MOST_ATTEMPTS = 50


def read(text: str) -> Outcome:
    """Return the jobs that call a URL."""
    outcome = Outcome()
    found = documents.entries(documents.read_json(text), "jobs")
    for number, each in documents.mappings(found):
        name = str(each.get("name") or f"job {number}").rpartition("/")[2]
        with outcome.entry(SourcePlace(name), f"job {name}") as draft:
            is_stopped = each.get("state") in {"PAUSED", "DISABLED"}
            draft.set(name=name, status="paused" if is_stopped else None)
            draft.describe(each.get("description"))
            times.set_cron(
                draft, times.classic(str(each.get("schedule", ""))), each.get("timeZone") or "UTC"
            )
            _read_target(each, draft)
            _read_retries(each.get("retryConfig") or {}, draft)
            refuse_unknown(each, _KNOWN, draft)
    return outcome


def _read_target(job: dict[str, Any], draft: Draft) -> None:
    target = job.get("httpTarget")
    if not isinstance(target, dict):
        raise LeftOut("It calls no URL, but Pub/Sub or App Engine.")
    for name in ("oauthToken", "oidcToken"):
        if target.get(name):
            raise LeftOut(f"Google signs its calls ({name}), which a job does not.")
    request = HttpRequest(str(target.get("uri", "")), method=target.get("httpMethod") or "POST")
    for name, value in (target.get("headers") or {}).items():
        if name.lower() not in _OWN_HEADERS:
            request.add_header(name, value)
    request.follows_redirects = False
    request.timeout = times.duration(job.get("attemptDeadline") or _DEFAULT_DEADLINE)
    request.set_in(draft, timeout="attemptDeadline")
    if target.get("body"):
        draft.fields["payload"] |= _body(target["body"], request)


def _body(encoded: str, request: HttpRequest) -> dict[str, Any]:
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise LeftOut("Its body is not base64.") from error
    if not request.has_header("Content-Type"):
        return {"body_base64": encoded}
    try:
        return {"body": content.decode()}
    except UnicodeDecodeError:
        return {"body_base64": encoded}


def _read_retries(config: dict[str, Any], draft: Draft) -> None:
    retries = config.get("retryCount") or 0
    draft.set(max_attempts=min(retries + 1, _MOST_ATTEMPTS))
    if not retries:
        return
    first = times.duration(config.get("minBackoffDuration") or "5s")
    cap = times.duration(config.get("maxBackoffDuration") or "3600s")
    doublings = config.get("maxDoublings", 5)
    draft.set(backoff_seconds=first, backoff_factor=2, backoff_cap_seconds=cap)
    if retries > doublings and first * 2**doublings < cap:
        draft.lacks(
            "maxDoublings", f"After {doublings} doublings Google's delays grow evenly, not ours."
        )
    if config.get("maxRetryDuration") not in (None, "0s"):
        draft.lacks("maxRetryDuration", "A job gives up after a number of attempts alone.")
    draft.note("retries", "Google repeats after every error, Chronos after those that may pass.")

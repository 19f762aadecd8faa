"""Jobs of dkron, from ``GET /v1/jobs``."""

import json
import re
from typing import Any

from chronos_client.importers import documents, times
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import (
    Draft,
    LeftOut,
    Outcome,
    SourcePlace,
    expect,
    number,
    refuse_unknown,
)

_DEFAULT_TIMEOUT = 30
_MOST_ATTEMPTS = 50
#: Members that the importer reads, and those about the past or about people.
_KNOWN = (
    "id", "name", "displayname", "timezone", "schedule", "owner", "success_count", "error_count",
    "last_success", "last_error", "disabled", "tags", "metadata", "retries", "dependent_jobs",
    "parent_job", "concurrency", "executor", "executor_config", "status", "next", "expires_at",
)  # fmt: skip
_KNOWN_OF_CONFIG = (
    "method", "url", "headers", "body", "timeout", "expectCode", "expectBody", "debug",
    "tlsNoVerifyPeer", "tlsCertificateFile", "tlsCertificateKeyFile", "tlsRootCAsFile",
)  # fmt: skip
_MACROS = {"@minutely": "* * * * *"}


def read(text: str, *, timezone: str | None = None) -> Outcome:
    """Return the jobs of the executor ``http``. ``timezone`` is the zone of dkron's machines."""
    outcome = Outcome()
    for place_of, each in documents.mappings(documents.entries(documents.read_json(text), "jobs")):
        name = str(each.get("name") or f"job {place_of}")
        with outcome.entry(SourcePlace(name), f"job {name}") as draft:
            draft.set(name=name, status="paused" if each.get("disabled") else None)
            draft.describe(each.get("displayname"))
            _read_job(each, draft, timezone)
    return outcome


def _read_job(job: dict[str, Any], draft: Draft, timezone: str | None) -> None:
    if job.get("parent_job"):
        raise LeftOut(f"It runs after the job {job['parent_job']!r}, which no schedule says.")
    if job.get("executor") != "http":
        raise LeftOut(f"Its executor is {job.get('executor')!r}. Chronos calls URLs.")
    _read_target(expect(job.get("executor_config"), dict, "executor_config"), draft)
    _read_schedule(str(job.get("schedule", "")).strip(), job, draft, timezone)
    retries = job.get("retries") or 0
    draft.set(
        max_attempts=min(retries + 1, _MOST_ATTEMPTS),
        retry_delays=[0] if retries else None,
        overlap_policy="skip" if job.get("concurrency") == "forbid" else "allow",
        misfire_policy="skip",
    )
    if retries:
        draft.note(
            "retries", "dkron repeats after every error, Chronos after those that may pass."
        )
    if job.get("expires_at"):
        draft.set(ends_at=times.written(times.instant(job["expires_at"], "expires_at")))
    if job.get("tags"):
        draft.lacks("tags", "They choose machines. A worker of Chronos makes one call.")
    refuse_unknown(job, _KNOWN, draft)


def _read_schedule(schedule: str, job: dict[str, Any], draft: Draft, timezone: str | None) -> None:
    if schedule.startswith("@every"):
        seconds = times.duration(schedule.removeprefix("@every"))
        times.set_interval(draft, seconds, counts_from="its leader's start")
        return
    if schedule.startswith("@at"):
        moment = times.instant(schedule.removeprefix("@at").strip(), "@at")
        draft.set(schedule_type="once", run_at=times.written(moment))
        return
    if schedule.startswith("@manually"):
        raise LeftOut("It runs by hand alone.")
    zone = job.get("timezone")
    times.set_cron(draft, _expression(_MACROS.get(schedule, schedule)), zone or None)
    if not zone:
        times.set_zone_of_machine(draft, timezone)


def _expression(text: str) -> str:
    """Return the five or six fields of dkron, whose first is the second."""
    fields = text.replace("?", "*").split()
    if len(fields) != 6:  # noqa: PLR2004 - with the second
        return times.classic(times.either_day(" ".join(fields)))
    times.check_field("second", fields[0])
    rest = times.classic(times.either_day(" ".join(fields[1:])))
    return rest if fields[0] == "0" else f"{fields[0]} {rest}"


def _read_target(config: dict[str, Any], draft: Draft) -> None:
    request = HttpRequest(
        str(config.get("url", "")),
        method=str(config.get("method") or "GET").upper(),
        body=config.get("body") or None,
        timeout=number(config.get("timeout") or _DEFAULT_TIMEOUT, "timeout", float),
        verifies=str(config.get("tlsNoVerifyPeer", "false")).lower() != "true",
    )
    for line in _headers(config.get("headers")):
        name, _, value = line.partition(":")
        request.add_header(name.strip(), value.strip())
    request.set_in(draft, timeout="timeout")
    draft.fields["payload"]["success_statuses"] = _statuses(str(config.get("expectCode") or "200"))
    if config.get("expectBody"):
        draft.lacks("expectBody", "The answer's body does not decide whether a run succeeded.")
    refuse_unknown(config, _KNOWN_OF_CONFIG, draft)
    for name in ("tlsCertificateFile", "tlsCertificateKeyFile", "tlsRootCAsFile"):
        if config.get(name):
            raise LeftOut(f"It uses certificates of its own ({name}).")


def _headers(value: Any) -> list[str]:
    """Return the headers, which stand in a text as a list of JSON."""
    if not value:
        return []
    found = json.loads(value) if isinstance(value, str) else value
    return [str(each) for each in expect(found, list, "headers")]


def _statuses(text: str) -> list[int]:
    if not re.fullmatch(r"\d{3}(?:\s*,\s*\d{3})*", text.strip()):
        raise LeftOut(f"expectCode {text!r} is not a list of status codes.")
    return [int(each) for each in text.split(",")]

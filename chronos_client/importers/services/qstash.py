"""Schedules of QStash, from ``GET /v2/schedules``."""

import math
import re
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

_ZONE = re.compile(r"CRON_TZ=(\S+)\s+(.*)")
_DEFAULT_RETRIES = 3
_MOST_DELAYS = 20
_MOST_ATTEMPTS = 50
_DAY = 86_400
#: Members that the importer reads, and those about the past.
_KNOWN = (
    "scheduleId", "label", "cron", "destination", "method", "header", "body", "bodyBase64",
    "retries", "timeout", "isPaused", "createdAt", "callerIP", "callerIp", "lastScheduleTime",
    "nextScheduleTime", "lastScheduleStates",
)  # fmt: skip


def read(text: str) -> Outcome:
    """Return the jobs of schedules that call a URL."""
    outcome = Outcome()
    found = documents.entries(documents.read_json(text), "schedules")
    for number, each in documents.mappings(found):
        name = str(each.get("label") or each.get("scheduleId") or f"schedule {number}")
        with outcome.entry(SourcePlace(name), f"schedule {name}") as draft:
            draft.set(name=name, status="paused" if each.get("isPaused") else None)
            _read_cron(str(each.get("cron", "")), draft)
            _read_target(each, draft)
            _read_retries(each.get("retries", _DEFAULT_RETRIES), draft)
            refuse_unknown(each, _KNOWN, draft)
    return outcome


def _read_cron(cron: str, draft: Draft) -> None:
    zone = "UTC"
    if prefix := _ZONE.fullmatch(cron.strip()):
        zone, cron = prefix[1], prefix[2]
    times.set_cron(draft, times.classic(times.either_day(cron)), zone)


def _read_target(schedule: dict[str, Any], draft: Draft) -> None:
    destination = str(schedule.get("destination", ""))
    if not destination.startswith(("http://", "https://")):
        raise LeftOut(f"Its destination {destination!r} is not a URL.")
    request = HttpRequest(destination, method=schedule.get("method") or "POST")
    for name, values in (schedule.get("header") or {}).items():
        if len(values) != 1:
            raise LeftOut(f"It sends the header {name} {len(values)} times.")
        request.add_header(name, values[0])
    request.body = schedule.get("body") or None
    timeout = schedule.get("timeout")
    request.timeout = times.duration(timeout) if isinstance(timeout, str) else timeout
    request.set_in(draft, timeout="timeout")
    if encoded := schedule.get("bodyBase64"):
        draft.fields["payload"]["body_base64"] = encoded
    draft.note("signature", "The target gets the workspace's signature, and not that of QStash.")


def _read_retries(retries: int, draft: Draft) -> None:
    """Write QStash's delays: e to the power of 2.5 times the number of tries, at most a day."""
    draft.set(max_attempts=min(retries + 1, _MOST_ATTEMPTS))
    if retries:
        numbers = range(1, min(retries, _MOST_DELAYS) + 1)
        draft.set(retry_delays=[round(min(math.exp(2.5 * each), _DAY), 3) for each in numbers])
        draft.note(
            "retries", "QStash repeats after every error, Chronos after those that may pass."
        )

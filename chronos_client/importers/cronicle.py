"""Events of Cronicle, and of xyOps, its successor, that make HTTP requests."""

from typing import Any

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

_PLUGINS = {"urlplug", "httpplug"}
_FIELDS = (
    ("minute", "minutes"),
    ("hour", "hours"),
    ("day of month", "days"),
    ("month", "months"),
    ("day of week", "weekdays"),
)
_MOST_ATTEMPTS = 50
#: Members that the importer reads, and those about machines, about logs, or about other members.
_KNOWN = (
    "id", "title", "enabled", "notes", "timing", "timezone", "plugin", "params", "timeout",
    "max_children", "queue", "queue_max", "retries", "retry_delay", "catch_up", "notify_fail",
    "category", "category_title", "group_title", "plugin_title", "target", "algo", "username",
    "created", "modified", "api_key", "session_id", "salt", "detached", "log_expire_days",
    "log_max_size", "cpu_sustain", "memory_sustain", "stagger",
)  # fmt: skip


_KNOWN_TO_XYOPS = (
    "triggers", "limits", "actions", "targets", "type", "icon", "tags", "revision", "sort_order",
)  # fmt: skip


def read(text: str, *, timezone: str | None = None) -> Outcome:
    """Return the jobs of events. ``timezone`` is the server's, for events without one."""
    outcome = Outcome()
    found = documents.entries(documents.read_json(text), "rows", "events", "schedule", "items")
    for number, each in documents.mappings(found):
        name = str(each.get("title") or each.get("id") or f"event {number}")
        with outcome.entry(SourcePlace(name), f"event {name}") as draft:
            draft.set(name=name, status=None if each.get("enabled", True) else "paused")
            draft.describe(each.get("notes"))
            _read_times(each, draft, timezone)
            _read_target(each, draft)
            if "triggers" in each:
                _read_rules(each, draft)
            else:
                _read_policies(each, draft)
    return outcome


def _timing(event: dict[str, Any]) -> dict[str, Any]:
    """Return when an event runs: its timing, or the only trigger of xyOps."""
    if "triggers" not in event:
        timing = event.get("timing")
        if not isinstance(timing, dict):
            raise LeftOut("It runs on demand alone.")
        return {"timezone": event.get("timezone"), **timing}
    triggers = [each for each in event["triggers"] if each.get("enabled", True)]
    if len(triggers) != 1 or triggers[0].get("type") != "schedule":
        raise LeftOut("It has other triggers than one schedule.")
    found: dict[str, Any] = triggers[0]
    return found


def _read_times(event: dict[str, Any], draft: Draft, timezone: str | None) -> None:
    timing = _timing(event)
    if timing.get("years"):
        raise LeftOut("Its years cannot be said. Set starts_at and ends_at.")
    fields = []
    for ours, theirs in _FIELDS:
        values = timing.get(theirs) or []
        text = ",".join(str(int(each)) for each in expect(values, list, theirs)) or "*"
        times.check_field(ours, text)
        fields.append(text)
    both = fields[2] != "*" and fields[4] != "*"
    zone = timing.get("timezone")
    times.set_cron(draft, " ".join(fields), zone, day_match="all" if both else None)
    if not zone:
        times.set_zone_of_machine(draft, timezone)


def _read_target(event: dict[str, Any], draft: Draft) -> None:
    if event.get("plugin") not in _PLUGINS:
        raise LeftOut(f"Its plugin is {event.get('plugin')!r}. Chronos calls URLs.")
    params = expect(event.get("params"), dict, "params")
    timeout = params.get("timeout") or event.get("timeout") or None
    request = HttpRequest(
        str(params.get("url", "")),
        method=str(params.get("method") or "GET").upper(),
        body=params.get("data") or None,
        timeout=float(timeout) if timeout else None,
        follows_redirects=bool(params.get("follow")),
        verifies=not params.get("ssl_cert_bypass"),
    )
    if "[" in request.url:
        raise LeftOut("Its URL has values that Cronicle fills in.")
    for line in str(params.get("headers") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            request.add_header(name.strip(), value.strip())
    request.set_in(draft, timeout="timeout")
    for name in ("success_match", "error_match"):
        if params.get(name):
            draft.lacks(name, "The answer's body does not decide whether a run succeeded.")


def _read_policies(event: dict[str, Any], draft: Draft) -> None:
    most = event.get("max_children", 1)
    if most == 1:
        draft.set(overlap_policy="queue_one" if event.get("queue") else "skip")
        if event.get("queue") and event.get("queue_max") != 1:
            draft.lacks("queue_max", "One run waits at most.")
    elif most:
        draft.lacks("max_children", f"{most} at once; a job has no such number.")
    _set_retries(draft, event.get("retries") or 0, event.get("retry_delay") or 0)
    draft.set(misfire_policy="run_all" if event.get("catch_up") else "skip")
    if wanted := event.get("notify_fail"):
        addresses = [each.strip() for each in wanted.split(",")]
        draft.set(notify=[each for each in addresses if "@" in each])
        if any("@" not in each for each in addresses):
            draft.lacks("notify_fail", "Not everything in it is an address.")
    refuse_unknown(event, _KNOWN, draft)


def _read_rules(event: dict[str, Any], draft: Draft) -> None:
    """Read the limits and actions of xyOps."""
    draft.set(max_attempts=1)
    for each in event.get("limits") or []:
        amount = each.get("amount") or 0
        match each.get("type"):
            case "job" if amount == 1:
                draft.set(overlap_policy="skip")
            case "retry":
                _set_retries(draft, amount, each.get("duration") or 0)
            case "time":
                bound = min(float(each["duration"]), draft.fields["timeout_seconds"])
                draft.set(timeout_seconds=bound)
            case kind:
                draft.lacks(f"limit {kind}", "A job has nothing like it.")
    refuse_unknown(event, (*_KNOWN, *_KNOWN_TO_XYOPS), draft)
    for each in event.get("actions") or []:
        draft.lacks(f"action {each.get('type')}", "A job has nothing like it.")


def _set_retries(draft: Draft, retries: int, delay: float) -> None:
    draft.set(
        max_attempts=min(retries + 1, _MOST_ATTEMPTS),
        retry_delays=[delay] if retries else None,
    )
    if retries:
        draft.note("retries", "Chronos repeats after errors that may pass, and after no others.")

"""Files of jobs as code, as the tests send them."""

from typing import Any

from werkzeug.test import TestResponse

from chronos_api.http.json_body import made
from chronos_api.jobs.schemas import JobFields
from integration.api.callers import Caller, job

SCOPE = "shop"


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job of a file."""
    return job(**{"name": name, **changes})


def send(
    caller: Caller, *jobs: dict[str, Any], scope: str = SCOPE, **options: Any
) -> TestResponse:
    """Apply a file."""
    return caller.post("apply", {"scope": scope, "jobs": list(jobs), **options})


def applied(caller: Caller, *jobs: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Apply a file, and return the plan."""
    answer = send(caller, *jobs, **options)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def told(plan: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the verdict and the action of each job by its key."""
    return {each["key"]: (each["verdict"], each["action"]) for each in plan["items"]}


def differences(plan: dict[str, Any], key: str) -> dict[str, tuple[Any, Any]]:
    """Return the fields of a job that differ, before and after."""
    [item] = [each for each in plan["items"] if each["key"] == key]
    return {each["field"]: (each["before"], each["after"]) for each in item["differences"]}


def exported(caller: Caller) -> list[dict[str, Any]]:
    """Return every job of the workspace as a file has it, with its id."""
    items = caller.get("jobs", query_string={"limit": 100, "sort": "created_at"}).json["items"]
    return [as_code(each) for each in items]


def as_code(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a job as a file has it."""
    fields = {name: value for name, value in shown.items() if name in WRITTEN}
    if shown["status"] in {"completed", "active"}:
        del fields["status"]
    return fields | {"key": shown["scope_key"] or shown["id"], "id": shown["id"]}


#: The fields that a user writes.
WRITTEN = made(JobFields).fields.keys() - {"job_type"}

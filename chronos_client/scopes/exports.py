"""Jobs of a server as a file, without fields that have their defaults. Secrets read [redacted]."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

#: Where the header of a file says that its schema is. ``chronos schema`` writes it.
SCHEMA_FILE = "chronos.schema.json"

_HEADER = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# Secrets read [redacted] and stay as they are on this server. Elsewhere give them,
# for example: Authorization: !env Bearer ${{SHOP_TOKEN}}
"""
_NO_DEFAULT = object()


def document(
    jobs: Sequence[Mapping[str, Any]], *, scope: str, schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the file of jobs, as the API answers them. ``schema`` is that of a job in a file.

    Of jobs without a scope whose names are the same, each has its id and a key of its own.
    """
    named = Counter(each["name"] for each in jobs)
    keys = {each["scope_key"] for each in jobs if each["scope"] == scope}
    return {
        "scope": scope,
        "jobs": [
            _key(each, scope=scope, keys=keys, is_alone=named[each["name"]] == 1)
            | fields_of(each, schema)
            for each in jobs
        ],
    }


def _key(job: Mapping[str, Any], *, scope: str, keys: set[str], is_alone: bool) -> dict[str, Any]:
    if job["scope"] == scope:
        key = job["scope_key"]
        return {} if key == job["name"] else {"key": key}
    if is_alone and job["name"] not in keys:
        return {}
    key, number = job["name"], 1
    while key in keys:
        number += 1
        key = f"{job['name'][:180]} {number}"
    keys.add(key)
    return {"key": key, "id": job["id"]}


def fields_of(job: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job that a file gives: those without their default.

    The status is only given of a paused job, so that it does not start elsewhere.
    """
    found = {}
    for name, property_ in schema["properties"].items():
        value = job.get(name)
        if name in {"key", "id", "status", "job_type"} or value in (None, ""):
            continue
        if value == property_.get("default", _NO_DEFAULT) or (name == "tags" and value == []):
            continue
        found[name] = value
    if job["status"] == "paused":
        found["status"] = "paused"
    return {name: found[name] for name in _ordered(found)}


def _ordered(found: Mapping[str, Any]) -> list[str]:
    first = ["name", "description", "type", "schedule_type", "cron_expression"]
    last = ["payload"]
    rest = [name for name in found if name not in {*first, *last}]
    return [name for name in (*first, *rest, *last) if name in found]


def with_header(text: str) -> str:
    """Return a file of YAML with the lines that help editors and people."""
    return _HEADER + text

"""The JSON Schema of a file, made of the server's OpenAPI document."""

import json
from collections.abc import Mapping
from typing import Any

_COMPONENTS = "#/components/schemas/"


def of_job(openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of one job in a file."""
    schema: Mapping[str, Any] = openapi["components"]["schemas"]["ScopeJob"]
    return schema


def of_file(openapi: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a file, for editors."""
    definitions = _definitions(openapi, "ScopeJob")
    job = definitions["ScopeJob"]
    defaults = {k: v for k, v in job.items() if k != "required"}
    one = {"key", "id", "name"}
    defaults["properties"] = {k: v for k, v in job["properties"].items() if k not in one}
    # A job may have its required fields from the defaults.
    definitions["ScopeJob"] = job | {"required": ["name"]}
    scope = openapi["components"]["schemas"]["ScopeFile"]["properties"]["scope"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Jobs of Chronos as code",
        "type": "object",
        "properties": {
            "scope": _rebased(scope),
            "defaults": defaults | {"description": "Fields of every job that does not give them"},
            "jobs": {"type": "array", "items": {"$ref": "#/$defs/ScopeJob"}, "maxItems": 1000},
        },
        "required": ["scope", "jobs"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _definitions(openapi: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a schema of the document with all that it refers to."""
    found: dict[str, Any] = {}
    wanted = [name]
    while wanted:
        each = wanted.pop()
        if each not in found:
            found[each] = _rebased(openapi["components"]["schemas"][each])
            text = json.dumps(found[each])
            wanted += [part.partition('"')[0] for part in text.split("#/$defs/")[1:]]
    return found


def _rebased(schema: Any) -> Any:
    return json.loads(json.dumps(schema).replace(_COMPONENTS, "#/$defs/"))

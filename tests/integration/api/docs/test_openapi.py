"""The OpenAPI document: valid as such, and as strict as the API where a schema can be."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.schedules.misfires import MisfirePolicy
from integration.api.callers import DAILY, WEBHOOK, Caller, document_of, job

MAIL = {"to": "user@example.com", "subject": "Report"}


def schema_of(app: Flask, name: str) -> Draft202012Validator:
    document = document_of(app)
    schema = document["components"]["schemas"][name]
    return Draft202012Validator(
        schema | {"components": document["components"]}, format_checker=FormatChecker()
    )


def test_the_document_is_valid_openapi_3_1(app: Flask) -> None:
    validate(document_of(app), cls=OpenAPIV31SpecValidator)


def test_every_example_of_a_body_is_valid_by_its_schema(app: Flask) -> None:
    document = document_of(app)
    seen = 0
    for path, item in document["paths"].items():
        operations = {name: each for name, each in item.items() if name != "parameters"}
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            for media_type in content.values():
                if "example" in media_type:
                    schema = media_type["schema"] | {"components": document["components"]}
                    faults = [
                        fault.message
                        for fault in Draft202012Validator(schema).iter_errors(
                            media_type["example"]
                        )
                    ]
                    assert not faults, (path, method, faults)
                    seen += 1
    assert seen >= 10


def _parts(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object in a part of the document, with its place."""
    if isinstance(part, dict):
        yield place, part
    pairs = part.items() if isinstance(part, dict) else enumerate(part)
    for key, inner in pairs:
        if isinstance(inner, dict | list) and key not in {"example", "examples"}:
            yield from _parts(inner, f"{place}/{key}")


def _is(kind: str, schema: dict[str, Any]) -> bool:
    declared = schema.get("type")
    return kind in (declared if isinstance(declared, list) else [declared])


# What generators of clients stumble over; tests/clients runs some of them.


def test_no_two_values_of_an_enumeration_differ_in_case_only(app: Flask) -> None:
    for place, part in _parts(document_of(app)):
        if isinstance(part.get("enum"), list):
            names = [str(value).lower() for value in part["enum"]]
            assert len(set(names)) == len(names), place


def test_every_list_says_what_is_in_it_and_every_object(app: Flask) -> None:
    for place, part in _parts(document_of(app)):
        if _is("array", part):
            assert "items" in part, place
        if _is("object", part):
            assert "properties" in part or "additionalProperties" in part, place


def test_no_branches_overlap_without_a_discriminator(app: Flask) -> None:
    for place, part in _parts(document_of(app)):
        assert "oneOf" not in part or "discriminator" in part, place


def test_patterns_have_no_escape_that_python_and_ecma_262_read_differently(app: Flask) -> None:
    for place, part in _parts(document_of(app)):
        if isinstance(part.get("pattern"), str):
            escapes = re.findall(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)", part["pattern"])
            odd = [
                each for each in escapes if len(each) == 1 and each not in "tnrfv^$\\.*+?()[]{}|/-"
            ]
            assert not odd, (place, odd)


def test_a_change_has_no_defaults_that_a_client_would_send(app: Flask) -> None:
    schemas = document_of(app)["components"]["schemas"]
    changes = {name for name in schemas if "Change" in name}
    assert {"JobChange", "ChangedJob", "WorkspaceChange"} <= changes
    for name in changes:
        assert not [
            key for key, field in schemas[name]["properties"].items() if "default" in field
        ]


def test_a_header_is_a_plain_text(app: Flask) -> None:
    for place, part in _parts(document_of(app)):
        if part.get("in") == "header" and "schema" in part:
            assert (part["schema"]["type"], part["schema"].get("format")) == ("string", None), (
                place
            )


def test_each_parameter_that_a_route_reads_is_documented(app: Flask) -> None:
    documented = {
        operation["operationId"]: {each["name"] for each in operation["parameters"]}
        for path in document_of(app)["paths"].values()
        for operation in path.values()
        if "parameters" in operation
    }
    checked = 0
    for endpoint, view in app.view_functions.items():
        documentation = getattr(view, "_apidoc", {})
        read = [
            field.data_key or name
            for each in documentation.get("arguments", {}).get("parameters", [])
            if each["in"] == "query"
            for name, field in each["schema"].fields.items()
        ] + [each["name"] for each in documentation.get("more_parameters", [])]
        if read:
            assert documented[endpoint.rpartition(".")[2]].issuperset(read), endpoint
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("body", "is_valid"),
    [
        (job(), True),
        (job(type="webhook"), True),
        (job(type=None), True),
        (job(payload={**WEBHOOK, "method": "GET", "params": {"a": ["b", 1]}}), True),
        (job(type="email", payload=MAIL), True),
        (job(type="email", payload={**MAIL, "to": ["a@example.com"], "html": "<p>"}), True),
        (job(type="celery_task", payload={"task": "reports.build", "args": [1]}), True),
        (job(schedule_type="interval", interval_seconds=60, cron_expression=...), True),
        (job(schedule_type="interval", interval_seconds=60, cron_expression=None), True),
        (
            job(schedule_type="once", run_at="2031-01-01T00:00:00Z", cron_expression=...),
            True,
        ),
        (job(cron_expression=...), False),
        (job(interval_seconds=60), False),
        (job(schedule_type="interval", interval_seconds=60), False),
        (job(schedule_type="once"), False),
        (job(payload={"url": 7}), False),
        (job(payload={**WEBHOOK, "method": "FETCH"}), False),
        (job(payload={**WEBHOOK, "to": "x"}), False),
        (job(type="email", payload=WEBHOOK), False),
        (job(type="celery_task", payload={"args": []}), False),
        (job(payload={**WEBHOOK, "success_statuses": [99]}), False),
        (job(crontab="x"), False),
    ],
)
def test_the_schema_and_the_api_agree(
    app: Flask, caller: Caller, body: dict[str, Any], *, is_valid: bool
) -> None:
    assert schema_of(app, "JobFields").is_valid(body) == is_valid
    assert (caller.post("jobs", body).status_code == 201) == is_valid


def test_the_kinds_hold_for_previews_and_test_runs(app: Flask) -> None:
    preview = schema_of(app, "PreviewRequest")
    assert preview.is_valid(DAILY)
    assert not preview.is_valid({"schedule_type": "interval"})
    run = schema_of(app, "TestRunRequest")
    assert run.is_valid({"payload": WEBHOOK})
    assert not run.is_valid({"type": "email", "payload": WEBHOOK})


#: Fields whose names say it all, and those of requests that were written for other schedulers.
OBVIOUS = {"name", "description", "email", "password", "current_password", "new_password", "tag"}
COMPATIBLE = {"NewCompatJob", "SubmittedJob", "ChangedJob", "PostJob"}


def sent_fields(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what clients send: where, the name, and what the document says of it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for each in operation.get("parameters", []):
                yield f"{method} {path}", each["name"], each
            content = operation.get("requestBody", {}).get("content", {})
            for media_type in content.values():
                schema = media_type["schema"]["$ref"].rpartition("/")[2]
                if schema not in COMPATIBLE:
                    found = document["components"]["schemas"][schema]["properties"]
                    yield from ((schema, name, each) for name, each in found.items())


def test_whatever_is_sent_says_its_meaning_and_its_unit(app: Flask) -> None:
    fields = list(sent_fields(document_of(app)))
    silent = [
        (place, name)
        for place, name, each in fields
        if name not in OBVIOUS and not each.get("description")
    ]
    assert silent == []
    without_unit = [
        (place, name)
        for place, name, each in fields
        for unit in ("seconds", "hours", "minutes")
        if name.endswith(f"_{unit}") and unit not in each["description"].lower()
    ]
    assert without_unit == []
    assert {"timeout_seconds", "jitter_seconds", "page"} <= {name for _, name, _ in fields}


@pytest.mark.parametrize(
    ("field", "policies"), [("misfire_policy", MisfirePolicy), ("overlap_policy", OverlapPolicy)]
)
def test_a_policy_says_what_each_of_its_values_holds_for(
    app: Flask, field: str, policies: type[StrEnum]
) -> None:
    described = document_of(app)["components"]["schemas"]["JobFields"]["properties"][field]
    words = described["description"]
    assert [policy for policy in policies if policy not in words] == []
    # Runs by hand are no occurrences of the schedule: each policy says whether it is about them.
    assert field == "misfire_policy" or "by hand" in words

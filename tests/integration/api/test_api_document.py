"""The OpenAPI document: valid as such, and as strict as the API where a schema can be."""

from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

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

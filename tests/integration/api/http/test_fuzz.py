"""Whatever is sent, nothing is a 500."""

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from chronos_api.jobs.schemas import JobFields
from integration.api.callers import job, register

JSON = {"Content-Type": "application/json"}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "\ud800", "2031-01-01T00:00:00Z", "0 0 * * *", "UTC", "cron"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [*JobFields().fields, "crontab"]
PAYLOAD_FIELDS = ["url", "method", "headers", "params", "body", "to", "subject", "task", "args"]
PAYLOAD_FIELDS += ["body_base64", "bcc", "reply_to", "html", "kwargs", "queue"]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
    payload=st.none() | st.dictionaries(st.sampled_from(PAYLOAD_FIELDS), json_values, max_size=4),
    method=st.sampled_from(["post", "patch", "put", "preview"]),
)
def test_no_json_gets_a_500(
    fuzzed: dict[str, Any], changes: dict[str, Any], payload: dict[str, Any] | None, method: str
) -> None:
    caller, job_id = fuzzed["caller"], fuzzed["job_id"]
    body = changes if payload is None else {**changes, "payload": payload}
    paths = {"post": "jobs", "preview": "schedules/preview"}
    path = paths.get(method, f"jobs/{job_id}")
    content = body if method == "patch" else {**job(), **body}
    send = {"preview": caller.post}.get(method) or getattr(caller, method)
    # Callers hold every answer against the OpenAPI document, which has no 500 in their sight.
    assert send(path, content).status_code < 500


@pytest.fixture(scope="module")
def fuzzed(app: Flask, db: Engine) -> dict[str, Any]:
    """A caller and a job that takes it all."""
    caller = register(app, db)
    return {"caller": caller, "job_id": caller.create()["id"]}


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_get_a_500(fuzzed: dict[str, Any], content: bytes) -> None:
    for path in ("jobs", "auth/login", "auth/refresh", "auth/register", "schedules/preview"):
        answer = fuzzed["caller"].post(path, data=content, headers=JSON)
        assert 400 <= answer.status_code < 500

"""Payloads through the API: kept, shown and sent as they were written."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from chronos_common import clock, ids
from chronos_common.domain.payloads import TYPES
from chronos_common.storage import adhoc_runs as storage
from chronos_common.storage.adhoc_runs import TestRun
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.tables import jobs
from chronos_worker.http import request_template
from integration.api.callers import DAILY, Caller, errors_of, job
from integration.api.rows import stored_job

URL = "https://example.com/hook"
WRITTEN = {
    "webhook": {
        "url": URL,
        "method": "PUT",
        "headers": {"X-Zeta": "1", "X-A": "2", "X-Bb": "3"},
        "body": {"zeta": 1, "a": -0.0, "bb": {"y": 1.0, "x": 10**30, "": [{"q": 1, "b": True}]}},
        "params": {"z": 1, "a": 2},
    },
    "email": {"subject": "Report", "to": ["b@example.com", "a@example.com"], "body": "-"},
    "celery_task": {"task": "report", "kwargs": {"zeta": {"y": 1, "x": 2}, "a": 1e300}},
}
BODY = {"zeta": 1, "a": 2, "bb": {"y": 1, "x": 2}}


def written(value: Any) -> str:
    return json.dumps(value)


def spec_of(caller: Caller, db: Engine, job_id: str) -> Any:
    """Return the job as a worker gets it."""
    execution_id = UUID(caller.post(f"jobs/{job_id}/execute").json["id"])
    with db.connect() as connection:
        return Specs().of(connection, [execution_id])[UUID(job_id)]


@pytest.mark.parametrize("kind", TYPES)
def test_a_payload_keeps_its_order_wherever_it_goes(caller: Caller, db: Engine, kind: str) -> None:
    payload = WRITTEN[kind]
    made = caller.create(type=kind, payload=payload)
    path = f"jobs/{made['id']}"
    listed = caller.get("jobs").json["items"][0]
    changed = caller.patch(path, {"description": "Changed"}).json
    replaced = caller.put(path, {**changed, "description": "Replaced"}).json
    for answer in (made, caller.get(path).json, listed, changed, replaced):
        assert written(answer["payload"]) == written(payload)
    assert written(spec_of(caller, db, made["id"]).payload) == written(payload)


@pytest.mark.parametrize(
    ("path", "body"), [("jobs", job(type="fax")), ("jobs/test", {"type": "fax", "payload": {}})]
)
def test_a_type_that_is_not_known_is_refused(
    caller: Caller, path: str, body: dict[str, Any]
) -> None:
    errors = errors_of(caller.post(path, body))
    assert errors["type"] == "Must be one of webhook, celery_task, email."


def test_the_body_is_sent_in_the_order_in_which_it_was_written(caller: Caller, db: Engine) -> None:
    made = caller.create(payload={"url": URL, "body": BODY})
    target = request_template.template_of(spec_of(caller, db, made["id"]))
    assert target.body == b'{"zeta":1,"a":2,"bb":{"y":1,"x":2}}'


def test_a_payload_for_the_default_webhook_keeps_its_order(caller: Caller, db: Engine) -> None:
    caller.patch("workspace", {"default_webhook_url": URL})
    made = caller.create(payload=BODY)
    target = request_template.template_of(spec_of(caller, db, made["id"]))
    assert target.body == b'{"zeta":1,"a":2,"bb":{"y":1,"x":2}}'


def test_jobs_that_are_created_together_keep_the_order_of_their_payloads(
    caller: Caller,
) -> None:
    payload = {"url": URL, "body": BODY}
    answer = caller.post("jobs/bulk", {"jobs": [job(name="a", payload=payload)]})
    assert answer.status_code == 201, answer.text
    listed = caller.get("jobs").json["items"]
    assert written(listed[0]["payload"]) == written(payload)


def test_a_test_run_gets_the_payload_in_its_order(caller: Caller, db: Engine) -> None:
    now = clock.now()
    run = TestRun(ids.new_id(now), caller.workspace_id, "webhook", {"url": URL, **BODY}, 5)
    with db.begin() as connection:
        storage.add(connection, run, now=now, expires_at=now.replace(year=now.year + 1))
        spec = storage.claim(connection, run.id, now=now)
        assert spec is not None
        assert written(spec.payload) == written(run.payload)
        storage.remove(connection, run.id)


@pytest.mark.parametrize(
    "body", [{"a": 2, "zeta": 1}, {"zeta": 1.0, "a": 2}, {"zeta": True, "a": 2}]
)
def test_what_python_calls_equal_is_a_change_nevertheless(
    caller: Caller, body: dict[str, Any]
) -> None:
    def put(body: dict[str, Any]) -> dict[str, Any]:
        definition = {"payload": {"url": URL, "body": body}, **DAILY}
        return dict(caller.put("jobs/by-name/Ping", definition).json)

    first = {"zeta": 1, "a": 2}
    assert (put(first)["version"], put(first)["version"]) == (1, 1)
    changed = put(body)
    assert changed["version"] == 2
    assert written(changed["payload"]["body"]) == written(body)
    [entry] = caller.get(f"audit?action=job.update&subject_id={changed['id']}").json["items"]
    assert written(entry["details"]["before"]["payload"]["body"]) == written(first)
    assert written(entry["details"]["after"]["payload"]["body"]) == written(body)


def test_an_answer_that_is_kept_for_its_idempotency_key_has_the_order(caller: Caller) -> None:
    headers = {"Idempotency-Key": "one"}
    wanted = job(payload={"url": URL, "body": BODY})
    answers = [caller.post("jobs", wanted, headers=headers) for _ in range(2)]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[0].text == answers[1].text
    assert written(answers[1].json["payload"]["body"]) == written(BODY)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=JSON)
def test_every_json_value_comes_back_as_it_was_written(caller: Caller, body: Any) -> None:
    made = caller.create(payload={"url": URL, "body": body})
    read = caller.get(f"jobs/{made['id']}").json
    assert written(read["payload"]["body"]) == written(body)


@pytest.mark.parametrize("text", ["a\x00", "\ud800", {"\udfff": 1}])
def test_text_that_cannot_be_kept_is_refused_in_words(caller: Caller, text: Any) -> None:
    content = json.dumps(job(payload={"url": URL, "body": {"a": text}}))
    answer = caller.post("jobs", data=content, content_type="application/json")
    assert answer.status_code == 422
    assert any(word in answer.text for word in ("NUL", "surrogates"))


@pytest.mark.parametrize(
    ("kind", "payload", "field", "remedy"),
    [
        ("webhook", {"url": URL, "headers": {"X-A": "1", "x-a": "2"}}, "headers.x-a", "keep one"),
        ("webhook", {"url": "http://./"}, "url", "empty part"),
        ("webhook", {"url": "http://x:0/"}, "url", "1 to 65535"),
        ("webhook", {"url": "http://i❤.ws/"}, "url", "IDNA 2008"),
        (
            "webhook",
            {"url": URL, "body": {"a": 1}, "headers": {"Content-Type": "multipart/form-data"}},
            "body",
            "as a string",
        ),
        ("webhook", {"url": URL, "headers": {"X": "日本"}}, "headers.X", "RFC 8187"),
        ("email", {"to": "ü@example.com", "subject": "s"}, "to", "ASCII"),
        ("email", {"to": "a@example.com", "subject": ""}, "subject", "empty"),
        ("email", {"to": "a@example.com", "subject": "a\u2028b"}, "subject", "U+2028"),
        ("celery_task", {"task": ""}, "task", "empty"),
        ("celery_task", {"task": "a", "queue": "unacked"}, "queue", "another name"),
    ],
)
def test_a_payload_that_cannot_be_sent_as_it_is_written_is_refused(
    caller: Caller, kind: str, payload: dict[str, Any], field: str, remedy: str
) -> None:
    wrong = errors_of(caller.post("jobs", job(type=kind, payload=payload)))
    assert remedy in wrong[f"payload.{field}"]
    tried = errors_of(caller.post("jobs/test", {"type": kind, "payload": payload}))
    assert tried == wrong


def test_addresses_are_kept_as_they_are_sent(caller: Caller) -> None:
    made = caller.create(notify=["Ops@Bücher.example", "B@Example.com"])
    assert made["notify"] == ["Ops@xn--bcher-kva.example", "B@Example.com"]
    assert "notify.0" in errors_of(caller.post("jobs", job(notify=["ü@example.com"])))


@pytest.mark.parametrize(
    "payload",
    [
        {"url": URL, "headers": {"X-A": "1", "x-a": "2"}},
        {"url": f"{URL}#part"},
        {"url": URL, "body": {"a": 1}, "headers": {"Content-Type": "text/plain"}},
        {"url": 5, "headers": [], "params": 5},
        {"url": URL, "headers": {"X-A": 5, "Location": None}, "params": [1]},
    ],
)
def test_a_stored_payload_of_other_rules_keeps_nobody_from_another_change(
    caller: Caller, db: Engine, payload: dict[str, Any]
) -> None:
    made = caller.create()
    with db.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == made["id"]).values(payload=payload))
    place = f"jobs/{made['id']}"
    assert caller.get("jobs").status_code == 200
    changed = caller.patch(place, {"description": "New", "tags": ["a"]})
    assert (changed.status_code, changed.json["description"]) == (200, "New")
    assert stored_job(db, made["id"])["payload"] == payload
    assert caller.post(f"{place}/pause").status_code == 200
    again = errors_of(caller.patch(place, {"payload": payload}))
    assert all(name.startswith("payload.") for name in again)
    assert caller.patch(place, {"payload": {"url": URL}}).status_code == 200

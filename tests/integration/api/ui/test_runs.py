"""Runs by hand that differ from their job: the forms, their errors, and what is stored."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from chronos_common.storage.tables import executions
from integration.api.callers import Caller
from integration.api.ui.pages import Browser, Page, failed
from integration.api.ui.test_pages import check

PAYLOAD = {
    "url": "https://example.com/hook",
    "method": "PUT",
    "headers": {"Authorization": "Bearer secret", "X-Team": "mail"},
    "body": {"template": "weekly", "to": ["a", "b"], "empty": None},
}
EDITED = """{"url": "https://example.com/hook", "method": "PUT",
 "headers": {"Authorization": "[redacted]"},
 "body": {"template": "correction", "to": ["a"], "empty": null}}"""

ELSEWHERE = '{"url": "https://example.org/", "headers": {"Authorization": "[redacted]"}}'


@pytest.fixture
def browser(app: Flask, caller: Caller) -> Browser:
    return Browser(app, caller)


def stored(db: Engine, caller: Caller) -> list[Any]:
    query = select(executions).where(executions.c.workspace_id == caller.workspace_id)
    with db.connect() as connection:
        return list(connection.execute(query.order_by(executions.c.id)).mappings())


def test_a_run_has_the_edited_payload_and_the_job_keeps_its_own(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    job = caller.create(payload=PAYLOAD)
    page = browser.get(f"/ui/jobs/{job['id']}")
    assert f"/ui/jobs/{job['id']}/run-with" in page.links()
    form = browser.get(f"/ui/jobs/{job['id']}/run-with").form("/run-with")
    assert "secret" not in form.fields["payload"]
    sent = browser.submit(form, payload=EDITED, note="After the fix", delay_seconds="3600")
    page = browser.follow(sent)
    check(page)
    assert "After the fix" in page.text
    assert "A payload of its own" in page.text
    assert "Bearer secret" not in page.html
    (row,) = stored(db, caller)
    assert row["payload"]["headers"] == {"Authorization": "Bearer secret"}
    assert row["payload"]["body"] == {"template": "correction", "to": ["a"], "empty": None}
    assert (row["due_at"] - row["scheduled_for"]).total_seconds() == 0
    assert caller.get(f"jobs/{job['id']}").json["payload"] == job["payload"]


def test_an_unchanged_payload_stays_the_one_of_the_job(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    job = caller.create(payload=PAYLOAD)
    form = browser.get(f"/ui/jobs/{job['id']}/run-with").form("/run-with")
    assert "A payload of its own" not in browser.follow(browser.submit(form)).text
    assert stored(db, caller)[0]["payload"] is None


def test_a_retry_with_changes_names_the_execution_before(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    job = caller.create(payload=PAYLOAD)
    before = failed(db, caller, job["id"])
    assert f"/ui/executions/{before}/retry-with" in browser.get(f"/ui/executions/{before}").links()
    form = browser.get(f"/ui/executions/{before}/retry-with").form("/retry-with")
    page = browser.follow(browser.submit(form, payload=EDITED))
    assert f"/ui/executions/{before}" in page.links()
    assert stored(db, caller)[1]["payload"]["body"]["template"] == "correction"
    again = Page(browser.submit(form, payload=EDITED))
    assert (again.status, "is still queued" in again.text) == (409, True)
    assert "correction" in again.form("/retry-with").fields["payload"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"payload": "{"}, "Is not JSON"),
        ({"payload": "[]"}, "Must be a JSON object"),
        ({"payload": '{"url": "ftp://example.com"}'}, "payload.url"),
        ({"payload": '{"url": "https://example.com/hook", "body": null}'}, "to null"),
        ({"payload": ELSEWHERE}, "goes to another server"),
        ({"delay_seconds": "soon"}, "is not a number"),
        ({"delay_seconds": "99999999"}, "Must be between"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_runs(
    browser: Browser, caller: Caller, db: Engine, fields: dict[str, str], text: str
) -> None:
    job = caller.create(payload={**PAYLOAD, "body": "x"})
    form = browser.get(f"/ui/jobs/{job['id']}/run-with").form("/run-with")
    page = Page(browser.submit(form, note="kept as typed", **fields))
    check(page)
    assert (page.status, text in page.text) == (422, True)
    assert page.form("/run-with").fields["note"] == "kept as typed"
    assert stored(db, caller) == []


def test_the_executions_of_a_job_lead_to_each_other(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    job, other = caller.create()["id"], caller.create()["id"]
    runs = [failed(db, caller, job, minutes_ago=each) for each in (9, 6, 4, 2)]
    for minutes in (7, 5):
        failed(db, caller, other, minutes_ago=minutes)
    for place, run in enumerate(runs):
        page = browser.get(f"/ui/executions/{run}")
        beside = {each["data-act"]: each["href"] for each in page.all("a") if "rel" in each}
        before, after = runs[:place][-1:], runs[place + 1 :][:1]
        expected = [("[", each) for each in before] + [("]", each) for each in after]
        assert beside == {key: f"/ui/executions/{each}" for key, each in expected}


def test_the_command_of_a_request_has_its_body_while_that_is_known(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    body = {"a": "b c", "token": "secret"}
    job = caller.create(payload={"url": "https://example.com/", "body": body})["id"]
    execution = failed(db, caller, job, job_version=1)
    page = browser.get(f"/ui/executions/{execution}")
    assert """--data-raw '{"a":"b c","token":"[redacted]"}'""" in page.text
    caller.patch(f"jobs/{job}", {"payload": {"url": "https://example.com/", "body": "other"}})
    page = browser.get(f"/ui/executions/{execution}")
    assert ("--data-raw" in page.text, "body is not recorded" in page.text) == (False, True)
    caller.delete(f"jobs/{job}")
    assert "body is not recorded" in browser.get(f"/ui/executions/{execution}").text

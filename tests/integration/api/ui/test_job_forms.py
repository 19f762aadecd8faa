"""Jobs are created, changed, run, paused and deleted by forms, without any script."""

from typing import Any

import pytest
import yaml
from flask import Flask
from sqlalchemy import Engine

from integration.api.callers import Caller
from integration.api.callers import job as job_body
from integration.api.ui.pages import Browser, Page, failed
from integration.api.ui.test_pages import check

NEW = {"name": "Nightly", "url": "https://example.com/hook", "cron_expression": "30 2 * * *"}


@pytest.fixture
def browser(app: Flask, caller: Caller) -> Browser:
    return Browser(app, caller)


def jobs_of(caller: Caller) -> list[dict[str, Any]]:
    return list(caller.get("jobs").json["items"])


def test_a_job_is_created_by_its_form(browser: Browser, caller: Caller) -> None:
    form = browser.get("/ui/jobs/new").form("/jobs/new")
    fields = {
        **NEW,
        "headers": "X-Team: mail\nX-Time: a: b",
        "body": '{"template": "weekly"}',
        "timezone": "Europe/Berlin",
        "tags": "nightly, etl",
        "notify_whom": "these",
        "notify": "ops@example.com",
        "max_attempts": "3",
        "retry_delays": "1.5, 10",
    }
    page = browser.follow(browser.submit(form, **fields))
    assert page.all("h1")
    assert "At 02:30 every day (Europe/Berlin)" in page.text
    (job,) = jobs_of(caller)
    assert job["payload"] == {
        "url": "https://example.com/hook",
        "method": "POST",
        "headers": {"X-Team": "mail", "X-Time": "a: b"},
        "body": {"template": "weekly"},
    }
    assert (job["tags"], job["notify"]) == (["nightly", "etl"], ["ops@example.com"])
    assert (job["max_attempts"], job["retry_delays"]) == (3, [1.5, 10])


@pytest.mark.parametrize(
    ("fields", "name", "text"),
    [
        ({"name": ""}, "name", ""),
        ({"cron_expression": "0 25 * * *"}, "cron_expression", "25"),
        ({"max_attempts": "many"}, "max_attempts", "is not a number"),
        ({"url": "ftp://example.com"}, "payload.url", ""),
        ({"headers": "no colon"}, "payload.headers", "is no"),
        ({"payload_more": "{"}, "payload", "Is not JSON"),
        ({"type": "email", "payload": "[]"}, "payload", "Must be a JSON object"),
        ({"timezone": "Nowhere/Land"}, "timezone", ""),
    ],
)
def test_a_wrong_field_is_named_and_nothing_that_was_typed_is_lost(
    browser: Browser, caller: Caller, fields: dict[str, str], name: str, text: str
) -> None:
    typed = {**NEW, "description": "kept as typed", **fields}
    answer = browser.submit(browser.get("/ui/jobs/new").form("/jobs/new"), **typed)
    page = Page(answer)
    assert page.status == 422
    assert f"<code>{name}</code>" in page.html
    assert text in page.text
    assert page.form("/jobs/new").fields | typed == page.form("/jobs/new").fields
    assert jobs_of(caller) == []


def test_the_form_of_a_job_means_the_job(browser: Browser, caller: Caller) -> None:
    """Fails if the form forgets a field: saving it unchanged would reset it."""
    made = caller.create(
        description="All of it",
        payload={
            "url": "https://example.com/?key=secret",
            "method": "PUT",
            "headers": {"Authorization": "Bearer secret", "X-A": "b"},
            "body": "12",
            "follow_redirects": False,
            "params": {"a": ["1", "2"]},
        },
        schedule_type="interval",
        cron_expression=...,
        interval_seconds=300,
        starts_at="2030-01-01T00:00:00Z",
        ends_at="2031-01-01T00:00:00Z",
        jitter_seconds=1.5,
        max_runs=7,
        max_attempts=2,
        retry_delays=[0.5],
        timeout_seconds=4.5,
        misfire_policy="skip",
        misfire_grace_seconds=90,
        overlap_policy="queue_one",
        retry_jitter=0.5,
        tags=["a", "b"],
        notify=[],
    )
    form = browser.get(f"/ui/jobs/{made['id']}/edit").form("/edit")
    browser.follow(browser.submit(form))
    after = caller.get(f"jobs/{made['id']}").json
    moving = {"version", "updated_at"}
    assert {name: after[name] for name in after.keys() - moving} == {
        name: made[name] for name in made.keys() - moving
    }


def test_the_form_of_a_cron_job_keeps_how_its_days_match(browser: Browser, caller: Caller) -> None:
    made = caller.create(cron_expression="0 0 13 * FRI", day_match="all")
    page = browser.get(f"/ui/jobs/{made['id']}/edit")
    assert "but only on Fridays" in page.text
    browser.follow(browser.submit(page.form("/edit")))
    after = caller.get(f"jobs/{made['id']}").json
    assert (after["day_match"], after["next_run_at"]) == ("all", made["next_run_at"])


def test_an_emptied_field_is_reset(browser: Browser, caller: Caller) -> None:
    made = caller.create(
        description="Old",
        max_runs=7,
        tags=["a"],
        notify=["a@example.com"],
        ends_at="2031-01-01T00:00:00Z",
        retry_jitter=0.5,
    )
    form = browser.get(f"/ui/jobs/{made['id']}/edit").form("/edit")
    empty = dict.fromkeys(("description", "max_runs", "tags", "ends_at", "retry_jitter"), "")
    empty["notify_whom"] = "creator"
    browser.follow(browser.submit(form, **empty))
    after = caller.get(f"jobs/{made['id']}").json
    names = ("description", "max_runs", "tags", "notify", "ends_at", "retry_jitter")
    assert [after[name] for name in names] == ["", None, [], None, None, 0]


def test_a_job_that_somebody_else_changed_meanwhile_is_not_overwritten(
    browser: Browser, caller: Caller
) -> None:
    made = caller.create()
    form = browser.get(f"/ui/jobs/{made['id']}/edit").form("/edit")
    caller.patch(f"jobs/{made['id']}", {"name": "Theirs"})
    page = Page(browser.submit(form, name="Mine"))
    assert page.status == 412
    check(page)
    assert page.form("/edit").fields["name"] == "Mine"
    assert caller.get(f"jobs/{made['id']}").json["name"] == "Theirs"
    assert "has saved version 2" in page.text
    assert "Name Theirs Mine" in page.text
    assert page.text.count("Theirs Mine") == 1
    browser.follow(browser.submit(page.form("/edit")))
    assert caller.get(f"jobs/{made['id']}").json["name"] == "Mine"


def test_the_next_runs_are_shown_without_a_script(browser: Browser, caller: Caller) -> None:
    form = browser.get("/ui/jobs/new").form("/jobs/new")
    page = Page(browser.submit(form, **NEW, timezone="Europe/Berlin", do="preview"))
    assert "At 02:30 every day (Europe/Berlin)" in page.text
    assert len([given for given in page.all("time") if given["datetime"]]) == 10
    for text in ("02:30 does not exist, so it runs at 03:00", "02:30 runs the first time only"):
        assert text in page.text
    once = Page(
        browser.submit(form, schedule_type="once", run_at="2040-01-01T09:00Z", do="preview")
    )
    assert "Once, at 2040-01-01 09:00:00 UTC" in once.text
    wrong = Page(
        browser.submit(form, **NEW, jitter_seconds="some", max_attempts="x", do="preview")
    )
    assert "'some' is not a number" in wrong.text
    assert jobs_of(caller) == []


def test_an_edit_tells_which_instants_it_drops_and_adds(browser: Browser, caller: Caller) -> None:
    made = caller.create(cron_expression="30 2 * * *")
    form = browser.get(f"/ui/jobs/{made['id']}/edit").form("/edit")
    assert "If you save" not in Page(browser.submit(form, do="preview")).text
    page = Page(browser.submit(form, cron_expression="30 2,14 * * MON-FRI", do="preview"))
    check(page)
    for text in ("version 1 becomes 2", "drops", "adds", "stay."):
        assert text in page.text
    assert caller.get(f"jobs/{made['id']}").json["version"] == 1


def test_a_clone_is_a_new_job(browser: Browser, caller: Caller) -> None:
    """Fails if the form has no input for a field: a clone would have its default."""
    fields = {
        "tags": ["a"],
        "starts_at": "2030-01-01T00:00:00.000Z",
        "ends_at": "2031-01-01T00:00:00.000Z",
        "retry_delays": [],
        "backoff_seconds": 7.5,
        "backoff_factor": 3.0,
        "backoff_cap_seconds": 500.0,
        "retry_jitter": 0.5,
    }
    made = caller.create(name="First", **fields)
    form = browser.get(f"/ui/jobs/new?clone={made['id']}").form("/jobs/new")
    browser.follow(browser.submit(form))
    copy, first = jobs_of(caller)
    assert (copy["name"], first["name"]) == ("First (copy)", "First")
    assert copy["payload"] == {"method": "POST", **first["payload"]}
    assert {name: copy[name] for name in fields} == fields


def test_a_job_is_run_paused_resumed_and_deleted(browser: Browser, caller: Caller) -> None:
    made = caller.create(name="Ping")
    address = f"/ui/jobs/{made['id']}"
    page = browser.follow(browser.submit(browser.get(address).form("/run")))
    assert "queued" in page.text
    page = browser.follow(browser.submit(browser.get(address).form("/pause")))
    assert "It is paused" in page.text
    page = browser.follow(browser.submit(page.form("/resume")))
    assert "● active" in page.text
    form = browser.get(f"{address}/delete").form("/delete")
    assert "Type the job" in browser.submit(form, name="Pong").text
    assert caller.get(f"jobs/{made['id']}").status_code == 200
    page = browser.follow(browser.submit(form, name="Ping"))
    assert "There is no job yet" in page.text
    assert caller.get(f"jobs/{made['id']}").status_code == 404


def test_an_execution_is_cancelled_and_run_again(browser: Browser, caller: Caller) -> None:
    made = caller.create()
    run = browser.submit(browser.get(f"/ui/jobs/{made['id']}").form("/run"))
    page = browser.follow(browser.submit(browser.follow(run).form("/cancel")))
    assert "somebody cancelled it" in page.text
    page = browser.follow(browser.submit(page.form("/retry")))
    assert "an earlier execution" in page.text


def test_an_execution_is_explained_with_its_attempts_and_log(
    browser: Browser, caller: Caller, db: Engine
) -> None:
    made = caller.create(name="Ping")
    page = browser.get(f"/ui/executions/{failed(db, caller, made['id'])}")
    assert "and failed with HTTP status 503, at the first attempt" in page.text
    assert "waiting 43" in page.text
    log = browser.client.get(next(link for link in page.links() if link.endswith("log.txt")))
    assert log.mimetype == "text/plain"
    assert "Attempt 1 was answered 503 in 88 ms" in log.text
    assert "✕ failed" in browser.get("/ui/").text


def test_an_instant_is_explained_on_the_page_of_the_job(browser: Browser, caller: Caller) -> None:
    made = caller.create(cron_expression="0 9 * * *")
    page = browser.get(f"/ui/jobs/{made['id']}?why=2040-01-01T09:30:00Z")
    assert "is no instant of the schedule" in page.text
    assert browser.get(f"/ui/jobs/{made['id']}?why=yesterday").status == 422


def test_the_changes_of_a_job_are_told_field_by_field(browser: Browser, caller: Caller) -> None:
    made = caller.create(
        name="Report", payload={"url": "https://example.com/", "body": {"a": 1, "b": 2}}
    )
    caller.patch(
        f"jobs/{made['id']}",
        {
            "cron_expression": "30 6 * * *",
            "timeout_seconds": 90,
            "payload": {"url": "https://example.com/", "body": {"a": 1, "b": 3}},
        },
    )
    page = browser.get(f"/ui/jobs/{made['id']}")
    assert "v1 → v2" in page.text
    for text in ("30 6 * * *", "30 s 1 min 30 s", "Payload: body.b 2 3", "edited it"):
        assert text in page.text
    assert "body.a" not in page.text
    caller.delete(f"jobs/{made['id']}")
    changes = browser.get(f"/ui/jobs/{made['id']}/changes?limit=2")
    check(changes)
    assert "deleted it" in changes.text
    assert "created it" not in changes.text
    (older,) = [link for link in changes.links() if "cursor=" in link]
    assert "created it" in browser.get(older).text


def test_a_pasted_command_fills_the_form_and_its_job_is_created(
    browser: Browser, caller: Caller
) -> None:
    paste = browser.get("/ui/jobs/new").form("/pasted")
    line = "15 6 * * * curl -X PUT -H 'X-Team: mail' https://example.com/ping"
    page = Page(browser.submit(paste, pasted=line))
    check(page)
    assert "does not name its time zone" in page.text
    browser.follow(browser.submit(page.form("/jobs/new")))
    (job,) = jobs_of(caller)
    assert job["cron_expression"] == "15 6 * * *"
    assert job["payload"]["headers"] == {"X-Team": "mail"}
    wrong = Page(browser.submit(paste, pasted="curl --proxy p https://example.com/"))
    check(wrong)
    assert (wrong.status, "--proxy" in wrong.text) == (422, True)
    assert "--proxy" in wrong.form("/pasted").fields["pasted"]


def test_an_edit_of_a_managed_job_is_offered_as_yaml(browser: Browser, caller: Caller) -> None:
    file = {"scope": "shop", "jobs": [{**job_body(), "name": "Report", "key": "report"}]}
    assert caller.post("apply", file).status_code == 200
    (made,) = jobs_of(caller)
    page = browser.get(f"/ui/jobs/{made['id']}/edit")
    assert "file of the scope shop manages this job under the key report" in page.text
    answer = browser.submit(
        page.form("/edit"), name="Sales", timeout_seconds="45", max_attempts="4", do="yaml"
    )
    shown = Page(answer)
    check(shown)
    (entry,) = yaml.safe_load(shown.html.split('id="yaml-text">')[1].split("</pre>")[0])
    assert caller.get(f"jobs/{made['id']}").json["version"] == 1
    plan = caller.post("apply", {"scope": "shop", "jobs": [entry], "dry_run": True}).json
    (item,) = plan["items"]
    assert {each["field"] for each in item["differences"]} == {"name", "timeout_seconds"}
    assert (item["key"], entry["timeout_seconds"], "max_attempts" in entry) == (
        "report",
        45,
        False,
    )
    assert "YAML" not in browser.get(f"/ui/jobs/{caller.create()['id']}/edit").text

"""Changes of many jobs: the number that is asked about is the number that changes."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_api.bulk import changes
from integration.api.callers import Caller
from integration.api.rows import Resting, end, in_seconds, plan
from integration.api.ui.pages import Browser, Page
from integration.api.ui.test_pages import check
from rigs import wait_until


def ask(browser: Browser, action: str, path: str = "/ui/jobs", **fields: Any) -> Page:
    form = browser.get(path).form("/jobs/bulk")
    form.fields.pop("all", None)
    answer = browser.submit(form, action=action, **fields)
    page = Page(answer)
    check(page)
    return page


def statuses(caller: Caller) -> dict[str, str]:
    items = caller.get("jobs").json["items"]
    return {each["name"]: each["status"] for each in items}


def test_the_number_of_the_button_is_the_number_that_changes_and_it_is_undone(
    caller: Caller, app: Flask
) -> None:
    jobs = [caller.create(name=name) for name in ("A", "B", "C")]
    caller.post(f"jobs/{jobs[0]['id']}/pause")
    browser = Browser(app, caller)
    page = ask(browser, "pause", job=[each["id"] for each in jobs])
    assert "Pause 2 jobs?" in page.text
    assert "1 of 3 stay as they are" in page.text
    assert statuses(caller) == {"A": "paused", "B": "active", "C": "active"}
    page = Page(browser.submit(page.form("/apply")))
    check(page)
    assert "2 jobs were paused" in page.text
    assert set(statuses(caller).values()) == {"paused"}
    undone = Page(browser.submit(page.form("/apply")))
    assert "2 jobs were resumed" in undone.text
    assert statuses(caller) == {"A": "paused", "B": "active", "C": "active"}


def test_all_that_match_are_those_of_the_filters(caller: Caller, app: Flask) -> None:
    for name in ("Mail 1", "Mail 2", "Backup"):
        caller.create(name=name)
    browser = Browser(app, caller)
    page = ask(browser, "pause", "/ui/jobs?search=mail&limit=20", all="yes")
    assert "Pause 2 jobs?" in page.text
    # A job that comes meanwhile was not asked about.
    caller.create(name="Mail 3")
    browser.submit(page.form("/apply"))
    paused = {name for name, status in statuses(caller).items() if status == "paused"}
    assert paused == {"Mail 1", "Mail 2"}


def test_a_deletion_needs_the_number_and_can_be_taken_back(caller: Caller, app: Flask) -> None:
    jobs = [caller.create(name=name) for name in ("A", "B")]
    browser = Browser(app, caller)
    page = ask(browser, "delete", job=[each["id"] for each in jobs])
    refused = browser.submit(page.form("/apply"), number="1")
    assert (refused.status_code, len(statuses(caller))) == (422, 2)
    done = Page(browser.submit(Page(refused).form("/apply"), number="2"))
    assert "2 jobs were deleted" in done.text
    assert statuses(caller) == {}
    deleted = browser.get("/ui/jobs/deleted")
    check(deleted)
    restored = browser.follow(browser.submit(deleted.form(f"/jobs/{jobs[0]['id']}/restore")))
    assert "paused" in restored.text
    assert statuses(caller) == {"A": "paused"}


def test_runs_of_many_jobs_lead_to_their_executions(caller: Caller, app: Flask) -> None:
    job, browser = caller.create(name="A"), Browser(app, caller)
    page = ask(browser, "execute", job=[job["id"]])
    answer = browser.submit(page.form("/apply"))
    assert answer.headers["Location"] == "/ui/executions?trigger=manual"
    assert browser.follow(answer).text.count("queued") >= 1


def test_more_jobs_than_one_request_may_change_change_in_the_background(
    caller: Caller, app: Flask, resting: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_JOBS", 1)
    for name in ("A", "B"):
        caller.create(name=name)
    browser = Browser(app, caller)
    page = ask(browser, "pause", "/ui/jobs?search=a", all="yes")
    assert "Pause 1 job?" in page.text
    page = ask(browser, "pause", all="yes")
    assert "Pause 2 jobs?" in page.text
    shown = browser.follow(browser.submit(page.form("/apply")))
    check(shown)
    assert "Pause 2 jobs: running" in shown.text
    assert "0 of 2 jobs" in browser.get("/ui/jobs").text
    ended = browser.follow(browser.submit(shown.form("/cancel")))
    resting()
    assert "Pause 2 jobs: cancelled" in ended.text
    assert statuses(caller) == {"A": "active", "B": "active"}
    # A job that came since is not among those that were asked about.
    caller.create(name="C")
    refused = browser.submit(page.form("/apply"))
    assert (refused.status_code, "is 3 now instead of 2" in refused.text) == (409, True)
    page = ask(browser, "delete", all="yes")
    assert browser.submit(page.form("/apply"), number="2").status_code == 422
    address = browser.submit(page.form("/apply"), number="3").headers["Location"]
    wait_until(lambda: "Delete 3 jobs: done" in browser.get(address).text, within=30, every=0.1)
    assert statuses(caller) == {}


def test_more_jobs_than_any_change_may_have_are_not_offered(
    caller: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B"):
        caller.create(name=name)
    monkeypatch.setattr(changes, "MAX_JOBS", 1)
    monkeypatch.setattr(changes, "MAX_MATCHED", 1)
    page = ask(Browser(app, caller), "pause", all="yes")
    assert "Too many jobs at once" in page.text
    assert not [form for form in page.forms if form.action.endswith("/apply")]


def test_jobs_get_and_lose_tags(caller: Caller, app: Flask) -> None:
    jobs = [caller.create(name=name, tags=["day"]) for name in ("A", "B")]
    browser = Browser(app, caller)
    page = ask(browser, "tag", job=[each["id"] for each in jobs])
    assert "Tag 2 jobs?" in page.text
    refused = browser.submit(page.form("/apply"))
    assert (refused.status_code, "Give tags to add" in refused.text) == (422, True)
    done = Page(browser.submit(Page(refused).form("/apply"), add="night, mail", remove="day"))
    assert "2 jobs were tagged" in done.text
    items = caller.get("jobs").json["items"]
    assert [each["tags"] for each in items] == [["night", "mail"]] * 2


def test_all_with_a_last_outcome_are_no_others(caller: Caller, app: Flask, db: Engine) -> None:
    failing = caller.create(name="Failing")["id"]
    caller.create(name="Fine")
    [execution_id] = plan(db, caller, failing, [in_seconds(-5)])
    end(db, execution_id, "failed")
    browser = Browser(app, caller)
    page = ask(browser, "pause", "/ui/jobs?last_outcome=failed", all="yes")
    assert "Pause 1 job?" in page.text
    browser.submit(page.form("/apply"))
    assert statuses(caller) == {"Failing": "paused", "Fine": "active"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "pause"}, "Check at least one job"),
        ({"action": "explode", "all": "yes"}, "Choose what to do"),
        ({"action": "pause", "job": "none"}, "id of a job"),
    ],
)
def test_a_wrong_choice_is_explained(
    caller: Caller, app: Flask, fields: dict[str, str], words: str
) -> None:
    caller.create()
    browser = Browser(app, caller)
    form = browser.get("/ui/jobs").form("/jobs/bulk")
    answer = browser.submit(form, **fields)
    assert (answer.status_code, words in answer.text) == (422, True)


def test_a_pause_has_a_note_and_an_end(caller: Caller, app: Flask) -> None:
    job, browser = caller.create(), Browser(app, caller)
    form = browser.get(f"/ui/jobs/{job['id']}").form("/pause")
    page = browser.follow(browser.submit(form, note="Moving", until="2031-01-01T09:00Z"))
    assert re.search(r"paused since .* resumes by itself at .* 09:00:00 UTC", page.text)
    assert "Moving" in browser.get("/ui/jobs").text

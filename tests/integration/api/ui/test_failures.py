"""The recovery desk: failures in groups, counted before they run again or are discarded."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_common import clock
from integration.api.callers import Caller
from integration.api.ui.pages import Browser, Page, failed
from integration.api.ui.test_pages import check


@pytest.fixture
def browser(caller: Caller, app: Flask, db: Engine) -> Browser:
    """A browser whose workspace has three open failures of two errors and two jobs."""
    first, second = caller.create(name="First"), caller.create(name="Second")
    for minute in (1, 2):
        failed(db, caller, first["id"], minutes_ago=minute)
    failed(db, caller, second["id"], "The host is not known.", minutes_ago=3)
    return Browser(app, caller)


def ask(browser: Browser, action: str, key: str, by: str = "error") -> Page:
    form = browser.get(f"/ui/failures?by={by}").form("/failures/ask")
    page = Page(browser.submit(form, action=action, key=key))
    check(page)
    return page


def test_failures_are_grouped_and_a_group_is_run_again(browser: Browser) -> None:
    page = browser.get("/ui/failures")
    check(page)
    assert "3 failures in 2 groups" in page.text
    asked = ask(browser, "retry", "The target answered #.")
    assert "Run 2 failures again?" in asked.text
    replay = browser.follow(browser.submit(asked.form("/failures/apply"), rate="5", note="Up"))
    check(replay)
    assert "Replay: running" in replay.text
    assert "0 of 2" in replay.text
    paused = browser.follow(browser.submit(replay.form("/move"), move="pause"))
    assert "Replay: paused" in paused.text
    assert "A replay is paused" in browser.get("/ui/failures").text
    ended = browser.follow(browser.submit(paused.form("/move"), move="cancel"))
    assert "Replay: cancelled" in ended.text


def test_a_job_is_discarded_and_the_others_stay_open(browser: Browser, caller: Caller) -> None:
    items = caller.get("jobs").json["items"]
    (first,) = [each["id"] for each in items if each["name"] == "First"]
    asked = ask(browser, "discard", first, by="job")
    assert "Discard 2 failures?" in asked.text
    page = browser.follow(browser.submit(asked.form("/failures/apply")))
    assert "1 failure in 1 group" in page.text


def test_a_failure_that_came_after_the_count_is_not_meant(browser: Browser) -> None:
    """Fails without the instant of the count in the form."""
    asked = ask(browser, "discard", "")
    assert "Discard 3 failures?" in asked.text
    counted_at = clock.rfc3339(clock.now() - timedelta(seconds=150))
    form = asked.form("/failures/apply")
    page = browser.follow(browser.submit(form, as_of=counted_at))
    assert "2 failures in 1 group" in page.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "explode"}, "Must be one of discard, retry"),
        ({"action": "retry", "by": "colour", "key": "red"}, "Must be one of error"),
        ({"action": "retry", "rate": "fast"}, "Must be a number"),
        ({"action": "retry", "by": "job", "key": "none"}, "id of a job"),
    ],
)
def test_a_wrong_choice_is_explained(browser: Browser, fields: dict[str, str], words: str) -> None:
    form = browser.get("/ui/failures").form("/failures/ask")
    answer = browser.submit(form, **{"key": "", **fields})
    assert (answer.status_code, words in answer.text) == (422, True)


def test_without_failures_the_page_says_so(caller: Caller, app: Flask) -> None:
    page = Browser(app, caller).get("/ui/failures")
    check(page)
    assert "No open failure" in page.text

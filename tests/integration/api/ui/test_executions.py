"""The page of an execution: its request as a command, its log, and its comparison."""

import json
import subprocess

from flask import Flask
from sqlalchemy import Engine, update

from chronos_api.ui.wording import curl_command
from chronos_common.storage.tables import executions
from integration.api.callers import Caller
from integration.api.ui.pages import Browser, failed
from integration.api.ui.test_pages import check
from targets import Target


def succeed(db: Engine, execution_id: str) -> None:
    with db.begin() as connection:
        rows = update(executions).where(executions.c.id == execution_id)
        connection.execute(rows.values(status="succeeded", error=None, http_status=200))


def test_a_failure_is_compared_with_the_success_before_it(
    caller: Caller, app: Flask, db: Engine
) -> None:
    job = caller.create()["id"]
    for minutes in (9, 5):
        succeed(db, failed(db, caller, job, "fine", minutes_ago=minutes))
    failure = failed(db, caller, job, minutes_ago=3)
    later = failed(db, caller, job, "fine", minutes_ago=1)
    succeed(db, later)
    browser = Browser(app, caller)
    page = browser.get(f"/ui/executions/{failure}/compare")
    check(page)
    assert "failed" in page.text
    assert "The target answered 503." in page.text
    assert "Attempts" not in page.text
    named = browser.get(f"/ui/executions/{failure}/compare?with={later}&all=yes")
    check(named)
    assert "Attempts" in named.text
    assert f"/ui/executions/{later}" in named.links()


def test_without_an_earlier_success_there_is_nothing_to_compare_with(
    caller: Caller, app: Flask, db: Engine
) -> None:
    failure = failed(db, caller, caller.create()["id"])
    browser = Browser(app, caller)
    assert "no earlier success" in browser.get(f"/ui/executions/{failure}/compare").text
    assert browser.get(f"/ui/executions/{failure}/compare?with=none").status == 404


def test_the_other_execution_is_one_of_the_workspace(
    caller: Caller, stranger: Caller, app: Flask, db: Engine
) -> None:
    mine = failed(db, caller, caller.create()["id"])
    foreign = failed(db, stranger, stranger.create()["id"])
    path = f"/ui/executions/{mine}/compare?with={foreign}"
    assert Browser(app, caller).get(path).status == 404


def test_the_request_is_there_as_a_command(caller: Caller, app: Flask, db: Engine) -> None:
    failure = failed(db, caller, caller.create()["id"], "It's <b>")
    page = Browser(app, caller).get(f"/ui/executions/{failure}")
    check(page)
    assert "curl -X POST https://example.com/" in page.text


def test_the_command_sends_the_request_that_was_recorded(target: Target) -> None:
    body = {"text": 'it\'s "quoted" $HOME `id` \\ and\nbroken'}
    request = {
        "method": "PUT",
        "url": f"{target.url}?a=b&c='d'",
        "headers": {"X-Text": "a 'b' $c", "Host": "elsewhere", "Content-Type": "text/plain"},
        "body": json.dumps(body),
    }
    subprocess.run(["bash", "-c", f"{curl_command(request)} -sS -m 20"], check=True, timeout=30)
    (received,) = target.received
    assert received.method == "PUT"
    assert received.headers["x-text"] == "a 'b' $c"
    assert received.headers["host"] != "elsewhere"
    assert json.loads(received.body) == body


def test_a_request_without_a_body_has_none() -> None:
    assert curl_command({"method": "GET", "url": "https://example.com/"}) == (
        "curl -X GET https://example.com/"
    )

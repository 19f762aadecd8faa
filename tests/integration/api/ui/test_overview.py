"""The first page: the figures of the workspace, and what needs attention."""

from flask import Flask
from sqlalchemy import Engine

from integration.api.callers import Caller
from integration.api.ui.pages import Browser, failed


def test_failures_of_one_cause_are_one_line(caller: Caller, app: Flask, db: Engine) -> None:
    """Fails if each execution has a line of its own: one job would hide all others."""
    broken, other = caller.create(name="Broken"), caller.create(name="Other")
    for minute in range(3):
        failed(db, caller, broken["id"], minutes_ago=minute + 1)
    failed(db, caller, other["id"], "The target answered 404.", minutes_ago=9)
    page = Browser(app, caller).get("/ui/")
    assert page.text.count("Broken \N{MULTIPLICATION SIGN}3") == 1
    assert page.text.count("The target answered 503.") == 1
    assert "The target answered 404." in page.text

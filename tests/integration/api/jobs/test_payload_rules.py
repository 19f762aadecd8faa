"""What an installation takes as a payload: its size, and which Celery tasks."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_api.app import create_app
from chronos_common.embedded.servers.servers import Servers
from integration.api.api_settings import settings_for
from integration.api.callers import WEBHOOK, Caller, errors_of, job, register

TASK = {"task": "reports.build", "queue": "reports-daily"}


def make_app(db: Engine, servers: Servers, **changes: Any) -> Flask:
    url = db.url.render_as_string(hide_password=False)
    return create_app(settings_for(url, servers.redis_url, **changes), db)


def faults(caller: Caller, **fields: Any) -> list[dict[str, str]]:
    """Return the errors of every way to bring a payload in."""
    made = job(**fields)
    kept = caller.create(name="Kept") if fields.get("type", "webhook") == "webhook" else None
    answers = [
        caller.post("jobs", made),
        caller.put("jobs/by-name/another", {**made, "name": ...} | {"name": "another"}),
        caller.post("jobs/test", {k: made[k] for k in ("type", "payload") if k in made}),
    ]
    if kept:
        answers.append(caller.patch(f"jobs/{kept['id']}", {"payload": made["payload"]}))
    bulk = caller.post("jobs/bulk", {"jobs": [made]})
    assert bulk.status_code == 422
    return [errors_of(each) for each in answers] + [errors_of(bulk)]


def test_a_payload_above_the_bound_is_refused_wherever_it_comes_in(caller: Caller) -> None:
    large = WEBHOOK | {"body": "x" * 262_144}
    for errors in faults(caller, payload=large):
        assert "CHRONOS_QUOTA_PAYLOAD_BYTES" in errors["payload"]
        assert "262,144" in errors["payload"]


def test_characters_count_as_they_are_stored(caller: Caller) -> None:
    """An escaped one takes six bytes or twelve."""
    answer = caller.post("jobs", job(payload=WEBHOOK | {"body": "\U0001f600" * 25_000}))
    assert "payload" in errors_of(answer)


def test_a_payload_within_the_bound_is_taken(caller: Caller) -> None:
    assert caller.create(payload=WEBHOOK | {"body": "x" * 250_000})


def test_without_a_broker_no_task_is_taken_and_the_remedy_is_named(
    db: Engine, servers: Servers
) -> None:
    app = make_app(db, servers, tasks_broker_url="")
    for errors in faults(register(app, db), type="celery_task", payload=TASK):
        assert "CHRONOS_TASKS_BROKER_URL" in errors["type"]


@pytest.mark.parametrize(
    ("allowed", "queues", "field"),
    [
        (("mail.*", "reports"), ("*",), "payload.task"),
        ((), ("*",), "payload.task"),
        (("reports.*",), ("celery", "reports"), "payload.queue"),
    ],
)
def test_a_task_or_queue_off_the_lists_is_refused(
    db: Engine, servers: Servers, allowed: tuple[str, ...], queues: tuple[str, ...], field: str
) -> None:
    app = make_app(db, servers, tasks_allowed=allowed, tasks_queues=queues)
    for errors in faults(register(app, db), type="celery_task", payload=TASK):
        assert list(errors) == [field]
        assert "CHRONOS_TASKS_" in errors[field]


def test_a_task_on_the_lists_is_taken(db: Engine, servers: Servers) -> None:
    app = make_app(
        db, servers, tasks_allowed=("mail.send", "reports.*"), tasks_queues=("reports-*",)
    )
    assert register(app, db).create(type="celery_task", payload=TASK)

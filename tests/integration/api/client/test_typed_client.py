"""``Chronos(url, key)`` against the application."""

import threading
import time
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from types import SimpleNamespace, UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_client import models
from chronos_client.client import Chronos
from chronos_client.errors import (
    ApiProblem,
    NotLoggedIn,
    ObjectMissing,
    SeveralMatches,
    WaitTimedOut,
)
from integration.api.callers import Caller, document_of, job
from integration.api.client.conftest import end

#: The dataclasses, and the documents that they are read from.
DOCUMENTS = {
    models.Job: "JobDetail",
    models.Execution: "ExecutionDetail",
    models.ExecutionAttempt: "AttemptAnswer",
    models.FailureCount: "FailureGroup",
    models.Replay: "ReplayDetail",
    models.LogEntry: "LogLine",
    models.WhyAnswer: "Why",
    models.SchedulePreview: "Preview",
    models.ScheduleInstant: "Occurrence",
    models.ScheduleClockChange: "ClockChangeAnswer",
    models.ScheduleReplacement: "ReplacementAnswer",
    models.ApiKey: "NewKeyAnswer",
    models.WorkspaceMember: "Member",
    models.DeviceCodes: "DeviceCodesAnswer",
}
JSON_TYPES = {
    str: {"string"},
    int: {"integer"},
    float: {"number"},
    bool: {"boolean"},
    datetime: {"string"},
    tuple: {"array"},
    Mapping: {"object"},
}


@pytest.mark.parametrize("model", DOCUMENTS, ids=lambda model: model.__name__)
def test_the_dataclasses_are_those_of_the_openapi_document(app: Flask, model: type) -> None:
    schema = document_of(app)["components"]["schemas"][DOCUMENTS[model]]
    hints = {each: hint for each, hint in get_type_hints(model).items() if each != "document"}
    assert set(hints) == set(schema["properties"])
    for name, hint in hints.items():
        types = json_types(schema["properties"][name])
        kinds = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
        assert "null" not in types or type(None) in kinds, name
        (kind,) = kinds - {type(None)}
        allowed = {"object"} if is_dataclass(kind) else JSON_TYPES[get_origin(kind) or kind]
        assert allowed >= types - {"null"}, name


def json_types(schema: dict) -> set[str]:
    """Return the types that a schema allows. A reference is one to an object."""
    if "$ref" in schema:
        return {"object"}
    kind = schema.get("type", [])
    own = {kind} if isinstance(kind, str) else set(kind)
    return own.union(*(json_types(each) for each in schema.get("anyOf", ())))


def test_the_scopes_are_those_of_the_openapi_document(app: Flask) -> None:
    scopes = document_of(app)["components"]["schemas"]["KeyAnswer"]["properties"]["scopes"]
    assert set(models.SCOPES) == set(scopes["items"]["enum"])


def test_the_final_statuses_are_those_of_the_server() -> None:
    from chronos_common.domain.statuses import FINAL  # noqa: PLC0415 - only compared here

    assert {str(each) for each in FINAL} == models.FINAL


def test_a_list_goes_from_page_to_page_as_it_is_used(client: Chronos, caller: Caller) -> None:
    names = {caller.create(name=f"Job {number}")["name"] for number in range(5)}
    assert {each.name for each in client.jobs.list(page_items=2)} == names
    assert client.jobs.count() == (5, True)


def test_a_job_is_created_changed_paused_and_deleted(client: Chronos) -> None:
    made = client.jobs.create(job(name="Report"))
    assert (made.status, made.version) == ("active", 1)
    assert isinstance(made.next_runs[0], datetime)
    changed = client.jobs.update(made.id, {"max_attempts": 2}, version=made.version)
    assert (changed.max_attempts, changed.version) == (2, 2)
    with pytest.raises(ApiProblem) as stale:
        client.jobs.update(made.id, {"max_attempts": 3}, version=1)
    assert stale.value.status == 412
    assert client.jobs.pause(made.id).status == "paused"
    assert client.jobs.resume(made.id).status == "active"
    client.jobs.delete(made.id)
    with pytest.raises(ObjectMissing):
        client.jobs.get(made.id)


def test_put_tells_whether_it_changed_anything(client: Chronos) -> None:
    definition = job(name=...)
    outcomes = [
        client.jobs.put("Nightly / 100 %", definition).outcome,
        client.jobs.put("Nightly / 100 %", definition).outcome,
        client.jobs.put("Nightly / 100 %", {**definition, "max_attempts": 2}).outcome,
    ]
    assert outcomes == ["created", "unchanged", "changed"]


def test_a_job_is_found_by_id_name_or_the_beginning_of_one(client: Chronos) -> None:
    report = client.jobs.create(job(name="Nightly report"))
    client.jobs.create(job(name="Nightly backup"))
    client.jobs.create(job(name="Nightly report, long"))
    for reference in (report.id, "Nightly report"):
        assert client.jobs.find(reference).id == report.id
    assert client.jobs.find("nightly b").name == "Nightly backup"
    with pytest.raises(SeveralMatches) as several:
        client.jobs.find("Nightly")
    assert len(several.value.matches) == 3
    with pytest.raises(ObjectMissing):
        client.jobs.find("backup")  # it is in a name, but not at its beginning


def test_a_job_is_found_by_the_beginning_of_its_id(client: Chronos) -> None:
    first, second = client.jobs.create(job(name="One")), client.jobs.create(job(name="Two"))
    while first.id[:8] != second.id[:8]:  # a minute of ids has just ended
        client.jobs.delete(first.id)
        first, second = second, client.jobs.create(job(name=f"{second.name} more"))
    tail = len("01a22f88-dcc3-7225")
    for each in (first, second):
        assert client.jobs.find(each.id[:tail]).id == each.id
        assert client.jobs.find(each.id.replace("-", "").upper()[:20]).id == each.id
    with pytest.raises(SeveralMatches) as several:
        client.jobs.find(first.id[:8])
    assert several.value.matches == tuple(f"{each.id}  {each.name}" for each in (second, first))
    for wrong in (first.id[:6], "ffffffff", "00000000"):
        with pytest.raises(ObjectMissing):
            client.jobs.find(wrong)
    named = client.jobs.create(job(name=f"{first.id[:tail]} is not mine"))
    with pytest.raises(SeveralMatches, match=named.id):
        client.jobs.find(first.id[:tail])


def test_an_execution_is_found_by_the_beginning_of_its_id(client: Chronos) -> None:
    started = client.jobs.run(client.jobs.create(job()).id)
    assert client.executions.find(started.id[:13]).id == started.id
    assert client.executions.find(started.id).id == started.id
    for wrong in (started.id[:6], "00000000", "ffffffff", "not an id"):
        with pytest.raises(ObjectMissing):
            client.executions.find(wrong)


def test_a_run_is_answered_when_it_has_ended_within_the_wait(
    client: Chronos, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.jobs.create(job())

    def look(_seconds: float) -> None:
        end(db, next(client.jobs.executions(made.id)).id, "succeeded")

    # Not time.sleep itself, which other threads of this process call.
    own_time = SimpleNamespace(monotonic=time.monotonic, sleep=look)
    monkeypatch.setattr("chronos_api.executions.waiting.time", own_time)
    assert client.jobs.run(made.id, wait_seconds=30, note=None).succeeded


def test_wait_returns_the_end_of_an_execution(client: Chronos, db: Engine) -> None:
    started = client.jobs.run(client.jobs.create(job()).id)
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            end(db, started.id, "succeeded")

    ended = client.executions.wait(started.id, sleep=sleep)
    assert ended.succeeded
    assert looks == sorted(looks)
    assert len(looks) == 3


def test_wait_gives_up_in_time(client: Chronos) -> None:
    started = client.jobs.run(client.jobs.create(job()).id)
    clock = iter(range(100))
    with pytest.raises(WaitTimedOut, match="still queued after 5 s"):
        client.executions.wait(
            started.id, timeout=5, sleep=lambda _: None, monotonic=lambda: float(next(clock))
        )


def test_executions_are_cancelled_and_run_again(client: Chronos) -> None:
    started = client.jobs.run(client.jobs.create(job()).id)
    assert client.executions.cancel(started.id).status == "cancelled"
    again = client.executions.retry(started.id)
    assert again.retry_of == started.id
    assert client.executions.logs(again.id)[0].message
    assert {each.id for each in client.executions.list()} == {started.id, again.id}


def test_why_and_preview(client: Chronos) -> None:
    made = client.jobs.create(job())
    answer = client.jobs.why(made.id, datetime(2020, 1, 1, tzinfo=UTC))
    assert answer.verdict == "not_created_yet"
    preview = client.schedules.explain("0 9 * * *", timezone="Europe/Berlin", count=2)
    assert len(preview.next_runs) == 2
    assert preview.next_runs[0].local == preview.next_runs[0].at


def test_many_jobs_at_once_with_a_dry_run(client: Chronos) -> None:
    for number in range(3):
        client.jobs.create(job(name=f"Job {number}", tags=["mail"]))
    dry = client.jobs.bulk("pause", chosen_by={"tag": "mail"}, dry_run=True)
    assert dry["matched"] == 3
    assert client.jobs.count(status="paused") == (0, True)
    client.jobs.bulk("pause", chosen_by={"tag": "mail"})
    assert client.jobs.count(status="paused") == (3, True)


def test_wrong_fields_are_named_and_a_wrong_key_is_an_error(client: Chronos, url: str) -> None:
    with pytest.raises(ApiProblem, match="cron_expression: ") as wrong:
        client.jobs.create(job(cron_expression="x"))
    assert wrong.value.status == 422
    assert wrong.value.request_id
    with Chronos(url, "chr_wrong") as stranger, pytest.raises(NotLoggedIn):
        next(stranger.jobs.list())


def test_events_come_as_they_happen(client: Chronos, url: str, key: str) -> None:
    made = client.jobs.create(job())
    with Chronos(url, key) as listener:
        stream = listener.events.listen()
        assert next(stream).kind == "stats"
        threading.Thread(target=client.jobs.pause, args=(made.id,)).start()
        event = next(each for each in stream if each.kind == "changes")
        assert event.id
        stream.close()

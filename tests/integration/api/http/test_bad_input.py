"""Bad input: every field, every kind of wrong value, is a 4xx that names it; nothing is a 500."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chronos_common import clock
from integration.api.callers import WEBHOOK, Caller, errors_of, job

JSON = {"Content-Type": "application/json"}
MAIL = {"to": ["a@example.com"], "subject": "s"}
PAST = (clock.now() - timedelta(days=1)).isoformat()

WRONG: list[tuple[str, dict[str, Any], set[str]]] = [
    ("no name", {"name": ...}, {"name"}),
    ("an empty name", {"name": ""}, {"name"}),
    ("a blank name", {"name": "  \t"}, {"name"}),
    ("a null name", {"name": None}, {"name"}),
    ("a long name", {"name": "x" * 201}, {"name"}),
    ("NUL in the name", {"name": "a\x00b"}, {"name"}),
    ("half a character", {"name": "a\ud800b"}, {"name"}),
    ("a number as name", {"name": 5}, {"name"}),
    ("a long description", {"description": "x" * 2001}, {"description"}),
    ("NUL in the description", {"description": "\x00"}, {"description"}),
    ("an unknown type", {"type": "carrier pigeon"}, {"type"}),
    ("a type of another case", {"type": "WEBHOOK"}, {"type"}),
    ("a list as type", {"type": ["webhook"]}, {"type"}),
    ("no payload", {"payload": ...}, {"payload"}),
    ("a null payload", {"payload": None}, {"payload"}),
    ("a list as payload", {"payload": []}, {"payload"}),
    ("no URL", {"payload": {}}, {"payload.url"}),
    ("a relative URL", {"payload": {"url": "/hook"}}, {"payload.url"}),
    ("a file", {"payload": {"url": "file:///etc/passwd"}}, {"payload.url"}),
    ("a broken URL", {"payload": {"url": "http://[::1/"}}, {"payload.url"}),
    ("a line break in the URL", {"payload": {"url": "http://a/\r\nX: y"}}, {"payload.url"}),
    ("a redacted URL", {"payload": {"url": "http://a/?key=[redacted]"}}, {"payload.url"}),
    ("an unknown payload field", {"payload": {**WEBHOOK, "uri": 1}}, {"payload.uri"}),
    ("an unknown method", {"payload": {**WEBHOOK, "method": "BREW"}}, {"payload.method"}),
    ("a list of headers", {"payload": {**WEBHOOK, "headers": ["a"]}}, {"payload.headers"}),
    (
        "a line break in a header",
        {"payload": {**WEBHOOK, "headers": {"X-A": "a\nb"}}},
        {"payload.headers.X-A"},
    ),
    (
        "a header of the connection",
        {"payload": {**WEBHOOK, "headers": {"Content-Length": "1"}}},
        {"payload.headers.Content-Length"},
    ),
    ("NUL in the body", {"payload": {**WEBHOOK, "body": {"a": ["\x00"]}}}, {"payload.body.a.0"}),
    ("half a key", {"payload": {**WEBHOOK, "body": {"\udfff": 1}}}, {"payload.body.\udfff"}),
    (
        "a payload of another type",
        {"type": "email"},
        {"payload.to", "payload.subject", "payload.url"},
    ),
    ("a wrong address", {"type": "email", "payload": {**MAIL, "to": "nobody"}}, {"payload.to"}),
    (
        "a line break in the subject",
        {"type": "email", "payload": {**MAIL, "subject": "a\r\nBcc: b@example.com"}},
        {"payload.subject"},
    ),
    ("a wrong task", {"type": "celery_task", "payload": {"task": "a b"}}, {"payload.task"}),
    ("no schedule", {"schedule_type": ..., "cron_expression": ...}, {"schedule_type"}),
    ("an unknown schedule", {"schedule_type": "often"}, {"schedule_type"}),
    ("no expression", {"cron_expression": ...}, {"cron_expression"}),
    ("minute 61", {"cron_expression": "61 * * * *"}, {"cron_expression"}),
    ("February 30", {"cron_expression": "0 0 30 2 *"}, {"cron_expression"}),
    ("four fields", {"cron_expression": "* * * *"}, {"cron_expression"}),
    ("a long expression", {"cron_expression": "1," * 200 + "1 * * * *"}, {"cron_expression"}),
    ("an unknown zone", {"timezone": "Mars/Olympus"}, {"timezone"}),
    ("a path as zone", {"timezone": "../../etc/passwd"}, {"timezone"}),
    ("two schedules", {"interval_seconds": 5}, {"interval_seconds"}),
    ("no interval", {"schedule_type": "interval", "cron_expression": ...}, {"interval_seconds"}),
    (
        "a run in the past",
        {"schedule_type": "once", "run_at": PAST, "cron_expression": None},
        {"run_at"},
    ),
    ("a time without offset", {"starts_at": "2031-01-01T00:00:00"}, {"starts_at"}),
    ("a time that is none", {"starts_at": "tomorrow"}, {"starts_at"}),
    ("a number as time", {"starts_at": 1893456000}, {"starts_at"}),
    ("a far year", {"starts_at": "9999-12-31T23:59:59-14:00"}, {"starts_at"}),
    ("an early year", {"ends_at": "0001-01-01T00:00:00+14:00"}, {"ends_at"}),
    (
        "an end before the start",
        {"starts_at": "2032-01-01T00:00:00Z", "ends_at": "2031-01-01T00:00:00Z"},
        {"ends_at"},
    ),
    ("an end that has passed", {"ends_at": PAST}, {"ends_at"}),
    ("a negative jitter", {"jitter_seconds": -1}, {"jitter_seconds"}),
    ("a text as jitter", {"jitter_seconds": "5"}, {"jitter_seconds"}),
    ("another recurrence", {"job_type": "one_time"}, {"job_type"}),
    ("no runs", {"max_runs": 0}, {"max_runs"}),
    ("more runs than PostgreSQL counts", {"max_runs": 2**31}, {"max_runs"}),
    ("half a run", {"max_runs": 1.5}, {"max_runs"}),
    ("true runs", {"max_runs": True}, {"max_runs"}),
    ("no attempt", {"max_attempts": 0}, {"max_attempts"}),
    ("many attempts", {"max_attempts": 10**30}, {"max_attempts"}),
    ("a negative delay", {"retry_delays": [1, -1]}, {"retry_delays.1"}),
    ("a text as delays", {"retry_delays": "60"}, {"retry_delays"}),
    ("too many delays", {"retry_delays": [1] * 21}, {"retry_delays"}),
    ("delays and backoff", {"retry_delays": [1], "backoff_seconds": 1}, {"backoff_seconds"}),
    ("a shrinking backoff", {"backoff_factor": 0.5}, {"backoff_factor"}),
    ("a long cap", {"backoff_cap_seconds": 1e300}, {"backoff_cap_seconds"}),
    ("too much jitter", {"retry_jitter": 1.01}, {"retry_jitter"}),
    ("no time", {"timeout_seconds": 0}, {"timeout_seconds"}),
    ("too much time", {"timeout_seconds": 301}, {"timeout_seconds"}),
    ("an unknown misfire policy", {"misfire_policy": "panic"}, {"misfire_policy"}),
    ("a negative grace", {"misfire_grace_seconds": -1}, {"misfire_grace_seconds"}),
    ("an unknown overlap policy", {"overlap_policy": {}}, {"overlap_policy"}),
    ("one tag as a string", {"tags": "mail"}, {"tags"}),
    ("an empty tag", {"tags": ["a", ""]}, {"tags.1"}),
    ("too many tags", {"tags": [str(number) for number in range(21)]}, {"tags"}),
    ("a wrong address to notify", {"notify": ["ops@example.com", "ops"]}, {"notify.1"}),
    ("an unknown status", {"status": "asleep"}, {"status"}),
    ("an unknown field", {"crontab": "* * * * *"}, {"crontab"}),
    ("a read-only field", {"id": "5"}, {"id"}),
]
IDS = [name for name, _, _ in WRONG]


@pytest.mark.parametrize(("changes", "wrong"), [each[1:] for each in WRONG], ids=IDS)
def test_a_wrong_field_is_named_with_a_remedy(
    caller: Caller, changes: dict[str, Any], wrong: set[str]
) -> None:
    errors = errors_of(caller.post("jobs", job(**changes)))
    assert errors.keys() == wrong
    assert all(message.endswith((".", "?")) for message in errors.values())


# What is wrong because something is missing is not wrong in a PATCH.
WRONG_CHANGES = {name: changes for name, changes, _ in WRONG if ... not in changes.values()}


@pytest.mark.parametrize("changes", WRONG_CHANGES.values(), ids=WRONG_CHANGES)
def test_a_wrong_change_is_refused_and_changes_nothing(
    caller: Caller, changes: dict[str, Any]
) -> None:
    made = caller.create()
    assert errors_of(caller.patch(f"jobs/{made['id']}", changes))
    assert caller.get(f"jobs/{made['id']}").json == made


def test_all_wrong_fields_are_named_together(caller: Caller) -> None:
    wrong = {
        "name": "",
        "payload": {"url": "ftp://example.com", "method": "BREW", "headers": {"a b": "c"}},
        "cron_expression": "* * * *",
        "timezone": "Nowhere",
        "tags": [5],
        "max_attempts": "many",
        "surprise": True,
    }
    assert errors_of(caller.post("jobs", job(**wrong))).keys() == {
        "name",
        "payload.url",
        "payload.method",
        "payload.headers.a b",
        "cron_expression",
        "timezone",
        "tags.0",
        "max_attempts",
        "surprise",
    }


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"{", "not JSON"),
        (b"[1, 2]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b'{"name": NaN}', "NaN"),
        (b'{"max_runs": -Infinity}', "-Infinity"),
        (b'{"timeout_seconds": 1e999}', "too large"),
        (b'{"max_runs": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"name": "a", "name": "b"}', "'name' twice"),
        (b'{"name": "\xff"}', "UTF-8"),
        ('{"name": "x"}'.encode("utf-16"), "UTF-8"),
        (b'{"payload": ' + b"[" * 40 + b"]" * 40 + b"}", "32 levels"),
        (b"[" * 100_000, "32 levels"),
        (b'{"a":' * 50_000, "32 levels"),
    ],
)
def test_a_body_that_is_not_an_object_is_malformed(
    caller: Caller, content: bytes, part: str
) -> None:
    answer = caller.post("jobs", data=content, headers=JSON)
    assert answer.status_code == 400
    assert part in answer.json["detail"]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_of_another_type_is_refused(caller: Caller, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = caller.post("jobs", data=json.dumps(job()), headers=headers)
    assert answer.status_code == 415


def test_a_large_body_is_refused(caller: Caller) -> None:
    content = json.dumps(job(description="x" * (2 << 20)))
    answer = caller.post("jobs", data=content, headers=JSON)
    assert answer.status_code == 413
    assert "1048576 bytes" in answer.json["detail"]


def test_json_with_a_charset_or_a_suffix_is_json(caller: Caller) -> None:
    for media_type in ("application/json; charset=utf-8", "application/vnd.chronos+json"):
        headers = {"Content-Type": media_type}
        assert caller.post("jobs", data=json.dumps(job()), headers=headers).status_code == 201


@pytest.mark.parametrize(
    "path", ["jobs/5", "jobs/01a1fbf9", "executions/x", "jobs/%00", "jobs/..%2f", "nowhere"]
)
def test_an_id_that_is_none_is_not_found(caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=1.5",
        "page=x",
        "page=",
        "page=%00",
        "page=٣",
        "limit=0",
        "limit=101",
        "status=x",
        "status=",
        "type=x",
        "tag=",
        "tag=%00",
        f"search={'x' * 201}",
        "search=%00",
        "sort=password",
        "sort=--name",
        "cursor=x",
        "a%00=b",
    ],
)
def test_a_wrong_parameter_is_named(caller: Caller, query: str) -> None:
    name = query.partition("=")[0].replace("%00", "\x00")
    assert errors_of(caller.get(f"jobs?{query}")).keys() == {name}


@pytest.mark.parametrize("query", ["job_id=5", "status=done", "trigger=x", "cursor=x", "foo=1"])
def test_a_wrong_parameter_of_executions_is_named(caller: Caller, query: str) -> None:
    assert errors_of(caller.get(f"executions?{query}")).keys() == {query.partition("=")[0]}


@pytest.mark.parametrize(
    "path",
    [
        "executions?since=",
        "executions?until=",
        "jobs?next_run_after=",
        "jobs?as_of=",
        "audit?since=",
        "jobs/{id}/why?at=",
    ],
)
def test_a_plus_that_a_query_turned_into_a_space_is_named(caller: Caller, path: str) -> None:
    made = caller.create()
    path = path.format(id=made["id"])
    refused = caller.get(f"{path}2030-01-01T00:00:00+01:00")
    assert "in a URL '+' means a space: write %2B." in refused.text
    assert caller.get(f"{path}2030-01-01T00:00:00%2B01:00").status_code == 200
    assert caller.get(f"{path}2030-01-01t00:00:00z").status_code == 200


@pytest.mark.parametrize("field", ["run_at", "starts_at", "ends_at"])
def test_a_wrong_time_is_refused_with_its_own_reason(caller: Caller, field: str) -> None:
    def refused(value: Any) -> str:
        schedule = {"schedule_type": "once", "run_at": "2030-01-01T00:00:00Z"}
        body = job(**{**schedule, "cron_expression": ..., field: value})
        return errors_of(caller.post("jobs", body))[field]

    assert refused("2030-13-01T00:00:00Z") == "There is no month 13; months are 01 to 12."
    assert refused("2030-01-01T00:00:00").startswith("Lacks its offset")
    assert refused(1893456000).endswith("write '2030-01-01T00:00:00Z'.")
    assert refused([]) == "Must be a string like '2026-07-01T09:00:00Z'."


def test_an_offset_as_time_zone_leads_to_the_zone_that_has_it(caller: Caller) -> None:
    message = errors_of(caller.post("jobs", job(timezone="GMT+2")))["timezone"]
    assert "'Etc/GMT-2'" in message
    assert "Etc/GMT+2" not in message
    assert caller.create(timezone="Etc/GMT-2")["timezone"] == "Etc/GMT-2"

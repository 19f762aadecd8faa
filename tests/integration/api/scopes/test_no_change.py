"""Whatever jobs there are: applying them as they are changes nothing."""

from datetime import timedelta
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from integration.api.callers import Caller, job, register
from integration.api.scopes.files import applied, exported, told

_SECRET = {"Authorization": "Bearer one", "X-Team": "mail"}
_TYPES = st.one_of(
    st.builds(
        lambda headers, body: {
            "payload": {"url": "https://example.com/hook?key=k", "headers": headers, "body": body}
        },
        st.sampled_from([{}, _SECRET]),
        st.sampled_from([None, "text", {"b": [1, 1.0, True], "a": {"password": "p"}}]),
    ),
    st.just({"type": "celery_task", "payload": {"task": "a.b", "kwargs": {"api_key": "k"}}}),
)
_SCHEDULES = st.sampled_from(
    [
        {"cron_expression": "0 9 * * *", "timezone": "Europe/Berlin"},
        {"cron_expression": "*/10 * * * * *", "jitter_seconds": 7.5},
        {"schedule_type": "interval", "interval_seconds": 90, "cron_expression": ...},
        {
            "schedule_type": "interval",
            "interval_seconds": 86_400,
            "starts_at": "2020-01-01T05:00:00Z",
            "ends_at": "2090-01-01T00:00:00Z",
            "cron_expression": ...,
        },
        {"schedule_type": "once", "run_at": "2090-01-01T09:00:00.123Z", "cron_expression": ...},
    ]
)
_MORE = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["", "Why é", "two\nlines"]),
        "tags": st.lists(st.sampled_from(["x", "y", "é"]), max_size=3),
        "notify": st.sampled_from([None, [], ["me@example.com"]]),
        "max_runs": st.integers(1, 9),
        "max_attempts": st.integers(1, 9),
        "retry_delays": st.sampled_from([[], [1], [0.5, 7]]),
        "retry_jitter": st.sampled_from([0, 0.25]),
        "timeout_seconds": st.sampled_from([0.5, 300]),
        "overlap_policy": st.sampled_from(["skip", "cancel_running"]),
        "misfire_policy": st.sampled_from(["skip", "run_all"]),
        "shadow": st.booleans(),
        "status": st.sampled_from(["active", "paused"]),
    },
)
_JOBS = st.lists(
    st.builds(
        lambda name, *parts: job(name=name, **{k: v for part in parts for k, v in part.items()}),
        st.sampled_from(["a", "b", "with: colon # and more"]),
        _TYPES,
        _SCHEDULES,
        _MORE,
    ),
    min_size=1,
    max_size=5,
)
#: What an adoption changes: the marks of the scope, and with them the version.
_MARKS = {"scope", "scope_key", "version", "updated_at"}


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(bodies=_JOBS, is_overdue=st.booleans())
def test_an_export_that_is_applied_changes_nothing(
    app: Flask, db: Engine, bodies: list[dict[str, Any]], *, is_overdue: bool
) -> None:
    caller = register(app, db)
    for body in bodies:
        caller.create(**{"cron_expression": ..., **body})
    if is_overdue:
        _age(db, caller)
    before, payloads = state(caller), stored(db, caller)
    adopted = applied(caller, *exported(caller))
    assert {verdict for verdict, _ in told(adopted).values()} == {"adopt"}
    assert not [each for each in adopted["items"] if each["differences"]]
    assert (state(caller), stored(db, caller)) == (before, payloads)
    versions = [each["version"] for each in items(caller)]
    again = applied(caller, *exported(caller), prune=True)
    assert {verdict for verdict, _ in told(again).values()} == {"unchanged"}
    assert [each["version"] for each in items(caller)] == versions


def _age(db: Engine, caller: Caller) -> None:
    """Let the schedules be overdue, as after an outage."""
    with db.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE schedules SET next_run_at = next_run_at - %s WHERE workspace_id = %s",
            (timedelta(days=1), str(caller.workspace_id)),
        )


def items(caller: Caller) -> list[dict[str, Any]]:
    query = {"limit": 100, "sort": "created_at"}
    return list(caller.get("jobs", query_string=query).json["items"])


def state(caller: Caller) -> list[dict[str, Any]]:
    """Return the jobs as they are shown, without the marks of a scope and the passing time."""
    left_out = _MARKS | {"next_run_at"}
    return [{n: v for n, v in each.items() if n not in left_out} for each in items(caller)]


def stored(db: Engine, caller: Caller) -> list[tuple[Any, ...]]:
    """Return what is not shown: secrets, the next runs, and the phases."""
    with db.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT j.id, CAST(j.payload AS text), s.next_run_at, s.anchor, s.runs_left, s.active"
            " FROM jobs j JOIN schedules s ON s.job_id = j.id"
            " WHERE j.workspace_id = %s ORDER BY j.id",
            (str(caller.workspace_id),),
        )
        return [tuple(row) for row in rows]

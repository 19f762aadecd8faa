"""An apply is one transaction, and refuses what nobody can have meant."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import Engine, event, text
from werkzeug.test import TestResponse

from chronos_api.scopes import guards
from integration.api.callers import Caller, errors_of
from integration.api.rows import waiting_for_locks
from integration.api.scopes.files import SCOPE, applied, entry, send, told
from rigs import wait_until


def names(caller: Caller) -> list[str]:
    items = caller.get("jobs", query_string={"sort": "name", "limit": 100}).json["items"]
    return [each["name"] for each in items]


def test_a_job_that_the_file_lacks_is_deleted_only_with_prune(caller: Caller) -> None:
    caller.create(name="of nobody")
    applied(caller, entry("other"), scope="other")
    applied(caller, entry("a"), entry("b"))
    kept = applied(caller, entry("a"))
    assert told(kept) == {"a": ("unchanged", "keep"), "b": ("prune", "keep")}
    pruned = applied(caller, entry("a"), prune=True)
    assert told(pruned) == {"a": ("unchanged", "keep"), "b": ("prune", "delete")}
    assert names(caller) == ["a", "of nobody", "other"]


def test_many_deletions_need_their_number(caller: Caller) -> None:
    files = [entry(f"job {number}") for number in range(20)]
    applied(caller, *files)
    refused = send(caller, *files[5:], prune=True)
    assert refused.status_code == 409
    assert "delete 5 of the 20 jobs" in refused.json["detail"]
    assert "prune_max: 5" in refused.json["detail"]
    assert len(names(caller)) == 20
    applied(caller, *files[4:], prune=True)
    assert len(names(caller)) == 16
    applied(caller, *files[9:], prune=True, prune_max=5)
    assert len(names(caller)) == 11


def test_an_empty_file_is_refused_unless_a_number_is_given(caller: Caller) -> None:
    applied(caller, entry("a"), entry("b"))
    for options in ({}, {"prune": True}, {"prune_max": 5}):
        assert "give prune and prune_max" in errors_of(send(caller, **options))["jobs"]
    assert names(caller) == ["a", "b"]
    applied(caller, prune=True, prune_max=2)
    assert names(caller) == []


def test_a_scope_has_a_bound(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MAX_JOBS", 2)
    applied(caller, entry("a"), entry("b"))
    assert "Give prune" in errors_of(send(caller, entry("c")))["jobs"]
    applied(caller, entry("c"), prune=True)


def test_a_plan_is_applied_as_it_was_seen_or_not_at_all(caller: Caller) -> None:
    seen = applied(caller, entry("a"), dry_run=True)
    assert names(caller) == []
    caller.create(name="a", tags=["other"])
    refused = send(caller, entry("a"), plan=seen["plan"])
    assert (refused.status_code, refused.json["title"]) == (412, "Changed meanwhile")
    again = applied(caller, entry("a"), dry_run=True)
    assert again["plan"] != seen["plan"]
    done = applied(caller, entry("a"), plan=again["plan"])
    assert (done["plan"], done["dry_run"]) == (again["plan"], False)


def test_each_change_has_one_entry_in_the_audit_log(caller: Caller) -> None:
    applied(caller, entry("a"), entry("b"), entry("c"))
    applied(caller, entry("a"), entry("b", tags=["x"]), entry("d"), prune=True)
    log = caller.get("audit", query_string={"limit": 100}).json["items"]
    found = sorted((each["action"], each["details"]["name"]) for each in log)
    assert found == [
        *[("job.create", name) for name in "abcd"],
        ("job.delete", "c"),
        ("job.update", "b"),
    ]


def test_a_file_needs_no_more_of_a_quota_than_it_ends_with(caller: Caller, db: Engine) -> None:
    applied(caller, entry("a"), entry("b"))
    with db.begin() as connection:
        connection.execute(text("UPDATE workspace_quotas SET bound = 2 WHERE quota = 'jobs'"))
    assert send(caller, entry("a"), entry("b"), entry("c")).status_code == 429
    assert names(caller) == ["a", "b"]
    applied(caller, entry("c"), entry("d"), prune=True)
    assert names(caller) == ["c", "d"]


def test_a_restored_job_belongs_to_no_scope(caller: Caller) -> None:
    applied(caller, entry("a"), entry("b"))
    [deleted, _] = caller.get("jobs", query_string={"sort": "name"}).json["items"]
    applied(caller, entry("b"), prune=True)
    applied(caller, entry("a"), entry("b"))
    restored = caller.post(f"jobs/{deleted['id']}/restore", {}).json
    assert (restored["scope"], restored["scope_key"]) == (None, None)


def test_two_applies_of_one_scope_come_one_after_the_other(caller: Caller) -> None:
    files = [entry(f"job {number}") for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda _: applied(caller, *files), range(4)))
    verdicts = sorted({verdict for plan in plans for verdict, _ in told(plan).values()})
    assert verdicts == ["create", "unchanged"]
    assert sum(plan["counts"]["create"] for plan in plans) == 20
    assert len(names(caller)) == 20


def test_two_scopes_do_not_adopt_one_job(caller: Caller) -> None:
    caller.create(name="a")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda scope: send(caller, entry("a"), scope=scope), ("x", "y")))
    assert sorted(each.status_code for each in answers) == [200, 409]


def test_two_scopes_do_not_create_jobs_of_one_name(caller: Caller, db: Engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = partial(pool.submit, send, caller, entry("b"), entry("a"), scope="y")
        with meanwhile(db, "INSERT INTO jobs ", other) as started:
            first = send(caller, entry("a"), entry("b"), scope="x")
        second = started[0].result()
    assert (first.status_code, second.status_code) == (200, 409)
    assert names(caller) == ["a", "b"]


@contextmanager
def meanwhile(
    db: Engine, beginning: str, start: Callable[[], Future[TestResponse]]
) -> Iterator[list[Future[TestResponse]]]:
    """Start a request before the first such statement of another one, which goes on once it waits.

    Without a lock to wait for, the other one goes on once the request has ended.
    """
    started: list[Future[TestResponse]] = []

    def interrupt(_connection, _cursor, statement, *_) -> None:
        if statement.startswith(beginning) and not started:
            started.append(start())
            wait_until(lambda: waiting_for_locks(db) or started[0].done(), within=30)

    event.listen(db, "before_cursor_execute", interrupt)
    try:
        yield started
    finally:
        event.remove(db, "before_cursor_execute", interrupt)


@contextmanager
def killed_at(db: Engine, table: str) -> Iterator[None]:
    """End the connection of the first statement that inserts into ``table``."""

    def kill(connection, _cursor, statement, *_) -> None:
        if statement.startswith(f"INSERT INTO {table} "):
            pid = connection.connection.dbapi_connection.info.backend_pid
            with db.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                gone = text("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid)")
                wait_until(lambda: other.execute(gone, {"pid": pid}).scalar_one())

    event.listen(db, "before_cursor_execute", kill)
    try:
        yield
    finally:
        event.remove(db, "before_cursor_execute", kill)


def test_a_killed_apply_leaves_nothing(caller: Caller, db: Engine) -> None:
    applied(caller, entry("a"), entry("b"))
    before = caller.get("jobs").json["items"]
    with killed_at(db, "schedules"):
        answer = send(caller, entry("a", tags=["x"]), entry("c"), prune=True)
    assert answer.status_code == 503
    assert caller.get("jobs").json["items"] == before
    done = applied(caller, entry("a", tags=["x"]), entry("c"), prune=True)
    assert done["counts"] | {"create": 1, "update": 1, "prune": 1} == done["counts"]


def test_a_viewer_may_not_apply(caller: Caller, db: Engine) -> None:
    assert send(caller.me_in("viewer", db), entry("a"), dry_run=True).status_code == 403


def test_the_scope_of_a_job_is_shown_and_not_written(caller: Caller) -> None:
    applied(caller, entry("a", key="k"))
    [made] = caller.get("jobs").json["items"]
    sent_back = caller.put(f"jobs/{made['id']}", {**made, "scope": "other"}).json
    assert (sent_back["scope"], sent_back["scope_key"]) == (SCOPE, "k")

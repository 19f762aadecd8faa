"""What one user or workspace keeps open at once, over all processes of the API (M2)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import Engine

from chronos_api import leases
from chronos_api.adhoc_runs import service
from chronos_api.leases import Lease
from chronos_api.security.access import Principal, Role
from chronos_api.transactions import Call
from chronos_common import clock
from chronos_common.quotas import (
    EVENT_STREAMS,
    EXPORTS,
    TEST_RUNS,
    USER_EVENT_STREAMS,
    USER_EXPORTS,
    USER_TEST_RUNS,
    Quota,
    QuotaExceeded,
)
from integration.api.callers import WEBHOOK, Caller
from rigs import wait_until


@contextmanager
def stream(caller: Caller) -> Iterator[Any]:
    client = caller.app.test_client()
    answer = client.get(
        "/api/v1/events", headers={"Authorization": f"Bearer {caller.token}"}, buffered=False
    )
    try:
        yield answer
    finally:
        answer.close()


def refusal(answer: Any) -> str:
    assert answer.status_code == 429, answer.text
    assert answer.json["type"] == "/docs#problem-quota-exceeded"
    return str(answer.json["quota"]["name"])


def test_a_user_has_three_event_streams_and_another_has_his_own(
    caller: Caller, db: Engine
) -> None:
    other = caller.me_in("viewer", db)
    with ExitStack() as open_streams:
        for _ in range(3):
            assert open_streams.enter_context(stream(caller)).status_code == 200
        with stream(caller) as fourth:
            assert refusal(fourth) == "user_event_streams"
        assert open_streams.enter_context(stream(other)).status_code == 200
    with stream(caller) as again:
        assert again.status_code == 200


def test_a_workspace_has_ten_event_streams_and_a_stranger_has_others(
    caller: Caller, stranger: Caller, db: Engine
) -> None:
    with ExitStack() as open_streams:
        for _ in range(5):
            member = caller.me_in("viewer", db)
            for _ in range(2):
                assert open_streams.enter_context(stream(member)).status_code == 200
        with stream(caller) as eleventh:
            assert refusal(eleventh) == "event_streams"
        with stream(stranger) as another:
            assert another.status_code == 200


def call_of(caller: Caller, db: Engine) -> Call:
    principal = Principal(caller.user_id, caller.workspace_id, Role.OWNER)
    return Call(engine=db, caller=principal, now=clock.now())


def take(app: Flask, db: Engine, caller: Caller, *wanted: Quota) -> Lease | None:
    with app.app_context():
        try:
            return leases.take(call_of(caller, db), *wanted)
        except QuotaExceeded:
            return None


@pytest.mark.parametrize("kind", ["exports", "test runs"])
def test_a_user_with_many_workspaces_has_no_more_than_with_one(
    app: Flask, caller: Caller, db: Engine, kind: str
) -> None:
    """Those of a process would all be this user's."""
    of_workspace, of_user = {
        "exports": (EXPORTS, USER_EXPORTS),
        "test runs": (TEST_RUNS, USER_TEST_RUNS),
    }[kind]
    for _ in range(of_user.default):
        elsewhere = replace(caller, workspace_id=uuid4())
        assert take(app, db, elsewhere, of_workspace, of_user)
    answer = (
        caller.get("executions", headers={"Accept": "text/csv"})
        if kind == "exports"
        else caller.post("jobs/test", {"type": "webhook", "payload": WEBHOOK})
    )
    assert refusal(answer) == of_user.name


def test_fifty_processes_side_by_side_do_not_pass_a_bound(
    app: Flask, caller: Caller, db: Engine
) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: take(app, db, caller, EVENT_STREAMS), range(50)))
    assert sum(each is not None for each in found) == 10


def test_a_refused_lease_takes_nothing_of_the_other_quota(
    app: Flask, caller: Caller, db: Engine
) -> None:
    for _ in range(5):
        take(app, db, caller, EVENT_STREAMS, USER_EVENT_STREAMS)
    with app.app_context():
        assert leases.number_open(EVENT_STREAMS, caller.workspace_id) == 3


def test_the_lease_of_a_killed_process_ends_and_a_renewed_one_stays(
    app: Flask, caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LIFETIME_SECONDS", 1)
    lost = [take(app, db, caller, TEST_RUNS) for _ in range(3)]
    assert all(lost)
    assert take(app, db, caller, TEST_RUNS) is None
    monkeypatch.setattr(leases, "LIFETIME_SECONDS", 60)
    kept = lost[0]
    assert kept
    kept.renew_at = 0
    kept.renew()

    def number() -> int:
        with app.app_context():
            return leases.number_open(TEST_RUNS, caller.workspace_id)

    wait_until(lambda: number() == 1)
    kept.release()
    kept.release()
    assert number() == 0


def test_while_redis_is_away_nobody_is_refused(
    app: Flask, caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise RedisConnectionError

    monkeypatch.setattr(Redis, "eval", refuse)
    assert all(take(app, db, caller, TEST_RUNS) for _ in range(5))


def test_a_workspace_has_three_test_runs_at_once(
    app: Flask, caller: Caller, stranger: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.run, "__kwdefaults__", {"grace": timedelta(0)})
    body = {"payload": {"url": "http://127.0.0.1:9/"}, "timeout_seconds": 0.1}
    for _ in range(3):
        # The lease of each of them ends with the run.
        assert caller.post("jobs/test", body).status_code == 504
    under_way = [take(app, db, caller, TEST_RUNS) for _ in range(3)]
    assert refusal(caller.post("jobs/test", body)) == "test_runs"
    assert stranger.post("jobs/test", body).status_code == 504
    assert under_way[0]
    under_way[0].release()
    assert caller.post("jobs/test", body).status_code == 504

"""Open failures and replays, in the client and on the command line."""

import json
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, update

from chronos_client.client import Chronos
from chronos_common import ids
from chronos_common.storage.tables import executions, replays
from integration.api.callers import job
from integration.api.client.conftest import Run, end


@pytest.fixture
def failed(client: Chronos, db: Engine) -> list[str]:
    """The ids of two open failures of one job."""
    made = client.jobs.create(job(name="Broken", tags=["mail"]))
    ids = [client.jobs.run(made.id).id for _ in range(2)]
    for each in ids:
        end(db, each, "failed", error="The target answered 503")
    return ids


def test_open_failures_are_listed_and_counted(
    run: Run, client: Chronos, failed: list[str]
) -> None:
    assert {each.id for each in client.failures.list()} == set(failed)
    assert set(run("failures", "list", "-o", "name").stdout.split()) == set(failed)
    (group,) = client.failures.groups("job")
    assert (group.name, group.executions) == ("Broken", 2)
    assert "Broken" in run("failures", "groups", "--by", "job").stdout
    assert "no open failure" in run("failures", "list", "--tag", "other").stderr


def test_exactly_the_counted_failures_run_again(
    run: Run, client: Chronos, failed: list[str]
) -> None:
    asked = run("failures", "retry", "--job", "Broken")
    assert asked.exit_code == 2
    assert f"Retry {len(failed)} executions?" in asked.stderr
    assert list(client.replays.list()) == []
    made = run("failures", "retry", "--job", "Broken", "--rate", "5", "--yes", "-o", "json")
    replay = client.replays.get(json.loads(made.stdout)["id"])
    assert (replay.matched, replay.rate_per_second) == (2, 5)
    assert replay.id in run("replays", "list", "-o", "name").stdout
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert state in run("replays", action, replay.id).stderr
    ended = run("replays", "get", replay.id, "--wait")
    assert "cancelled" in ended.stdout
    assert ended.exit_code == 5


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("succeeded", 0)])
def test_a_replay_is_awaited_until_its_executions_have_ended(
    run: Run, client: Chronos, failed: list[str], db: Engine, status: str, code: int
) -> None:
    replay = client.failures.retry(as_of=client.failures.count("retry").as_of)
    made = client.jobs.run(client.executions.get(failed[0]).job_id)
    with db.begin() as connection:
        of_replay = executions.c.id == UUID(made.id)
        connection.execute(update(executions).where(of_replay).values(replay_id=replay.id))
        # Its executions have ids of that instant.
        as_of = ids.moment_of(UUID(made.id))
        done = {"state": "done", "finished_at": func.now(), "created": 1, "as_of": as_of}
        connection.execute(update(replays).where(replays.c.id == replay.id).values(done))
    looks = client.replays.watch(replay.id, sleep=lambda _: end(db, made.id, status))
    assert [each.outcomes for each in looks] == [{"queued": 1}, {status: 1}]
    assert run("replays", "get", replay.id, "--wait").exit_code == code


def test_failures_are_discarded(run: Run, client: Chronos, failed: list[str]) -> None:
    assert failed
    assert "Discarded 2" in run("failures", "discard", "--tag", "mail", "--yes").stderr
    assert list(client.failures.list()) == []
    assert run("failures", "discard", "--yes").exit_code == 3

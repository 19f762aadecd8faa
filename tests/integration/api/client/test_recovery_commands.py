"""Open failures and replays, in the client and on the command line."""

import json

import pytest
from sqlalchemy import Engine

from chronos_client.client import Chronos
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


def test_failures_are_discarded(run: Run, client: Chronos, failed: list[str]) -> None:
    assert failed
    assert "Discarded 2" in run("failures", "discard", "--tag", "mail", "--yes").stderr
    assert list(client.failures.list()) == []
    assert run("failures", "discard", "--yes").exit_code == 3

"""Bulk changes that go on by themselves: the jobs that were counted, each once, with a report."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from chronos_api.bulk import runner
from chronos_common.embedded.servers.servers import Servers
from chronos_common.quotas import RUNS_PER_DAY
from chronos_common.storage import bulk_changes, quotas
from chronos_common.storage.jobs import lists
from chronos_common.storage.tables import audit_log, memberships
from integration.api.api_process import environment, serving
from integration.api.callers import Caller, errors_of
from integration.api.rows import Resting, end, in_seconds, plan
from rigs import wait_until

NIGHT = {"filter": {"tag": "night"}}


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BATCH", 2)


def start(caller: Caller, action: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = caller.post(f"jobs/bulk/{action}", {**body, "in_background": True})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/api/v1/bulk-changes/{answer.json['id']}"
    return dict(answer.json)


def ended(caller: Caller, change_id: str) -> dict[str, Any]:
    """Return a change when it is over."""

    def read() -> dict[str, Any]:
        return dict(caller.get(f"bulk-changes/{change_id}").json)

    wait_until(lambda: read()["state"] != "running", within=30, every=0.05)
    return read()


def counts(change: dict[str, Any]) -> tuple[int, ...]:
    return tuple(
        change[name]
        for name in ("matched", "handled", "changed", "unchanged", "conflicts", "not_found")
    )


def statuses(caller: Caller) -> dict[str, str]:
    return {each["id"]: each["status"] for each in caller.get("jobs?limit=100").json["items"]}


def test_the_jobs_that_were_counted_change_and_no_others(caller: Caller, resting: Resting) -> None:
    made = [caller.create(tags=["night"])["id"] for _ in range(6)]
    other = caller.create()["id"]
    caller.post(f"jobs/{made[1]}/pause")
    counted = caller.post("jobs/bulk/pause", {**NIGHT, "dry_run": True}).json["matched"]
    change = start(caller, "pause", {**NIGHT, "matched": counted})
    assert (change["state"], counts(change)) == ("running", (6, 0, 0, 0, 0, 0))
    late = caller.create(tags=["night"])["id"]
    caller.delete(f"jobs/{made[2]}")
    resting()
    done = ended(caller, change["id"])
    assert (done["state"], done["filter"]) == ("done", {"tag": "night"})
    assert counts(done) == (6, 6, 4, 1, 0, 1)
    found = statuses(caller)
    assert {found[each] for each in (other, late)} == {"active"}
    assert {found[each] for each in made if each in found} == {"paused"}
    [listed] = caller.get("bulk-changes").json["items"]
    assert listed == {name: done[name] for name in listed}
    audit = {each["action"]: each for each in caller.get("audit?limit=100").json["items"]}
    assert audit["bulk.start"]["details"]["matched"] == 6


def test_another_number_begins_nothing(caller: Caller) -> None:
    caller.create(tags=["night"])
    body = {**NIGHT, "in_background": True, "matched": 2}
    refused = caller.post("jobs/bulk/delete", body)
    assert (refused.status_code, "is 1 now instead of 2" in refused.json["detail"]) == (409, True)
    nothing = caller.post("jobs/bulk/delete", {"filter": {"tag": "no"}, "in_background": True})
    assert errors_of(nothing) == {"filter": "Matches no job."}
    assert caller.get("bulk-changes").json["total"] == 0
    assert set(statuses(caller).values()) == {"active"}


def test_changes_are_bounded_and_end_where_they_are(caller: Caller, resting: Resting) -> None:
    for _ in range(3):
        caller.create(tags=["night"])
    first, other = start(caller, "pause", NIGHT), start(caller, "execute", NIGHT)
    third = caller.post("jobs/bulk/pause", {**NIGHT, "in_background": True})
    assert (third.status_code, "under way" in third.json["detail"]) == (409, True)
    for _ in range(2):
        ending = caller.post(f"bulk-changes/{first['id']}/cancel")
        assert (ending.status_code, ending.json["state"]) == (200, "cancelled")
    done = start(caller, "pause", NIGHT)
    resting()
    assert ended(caller, done["id"])["changed"] == 3
    assert counts(caller.get(f"bulk-changes/{first['id']}").json) == (3, 0, 0, 0, 0, 0)
    assert caller.post(f"bulk-changes/{done['id']}/cancel").status_code == 409
    assert ended(caller, other["id"])["state"] == "done"


def test_a_job_that_is_refused_stops_no_other(caller: Caller, db: Engine) -> None:
    daily = [caller.create(tags=["night"])["id"] for _ in range(3)]
    often = caller.create(
        tags=["night"], schedule_type="interval", interval_seconds=60, cron_expression=...
    )["id"]
    caller.post("jobs/bulk/pause", NIGHT)
    with db.begin() as connection:
        quotas.set_bound(connection, caller.workspace_id, RUNS_PER_DAY, 10)
    done = ended(caller, start(caller, "resume", NIGHT)["id"])
    assert counts(done) == (4, 4, 3, 0, 1, 0)
    [(reason, number)] = done["reasons"].items()
    assert ("runs_per_day" in reason, number) == (True, 1)
    assert done["sample"] == [{"id": often, "reason": reason}]
    assert {statuses(caller)[each] for each in daily} == {"active"}


def test_tags_change_in_the_background_too(caller: Caller) -> None:
    full = caller.create(tags=["night", *(f"t{number}" for number in range(19))])["id"]
    light = caller.create(tags=["night"])["id"]
    done = ended(caller, start(caller, "tag", {**NIGHT, "add": ["new"]})["id"])
    assert (done["changed"], done["conflicts"], done["sample"][0]["id"]) == (1, 1, full)
    assert caller.get(f"jobs/{light}").json["tags"] == ["night", "new"]


def test_a_change_ends_when_its_author_may_not_change_jobs_any_more(
    caller: Caller, db: Engine, resting: Resting
) -> None:
    caller.create(tags=["night"])
    author = caller.me_in("editor", db)
    change = start(author, "pause", NIGHT)
    with db.begin() as connection:
        its = memberships.c.user_id == author.user_id
        connection.execute(update(memberships).where(its).values(role="viewer"))
    resting()
    done = ended(caller, change["id"])
    assert (done["state"], done["handled"]) == ("cancelled", 0)
    assert "may not change jobs any more" in done["stopped_because"]


def test_all_jobs_with_a_last_outcome_are_chosen_and_no_others(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, fine = caller.create()["id"], caller.create()["id"]
    for job_id, status in ((failing, "failed"), (fine, "succeeded")):
        [execution_id] = plan(db, caller, job_id, [in_seconds(-5)])
        end(db, execution_id, status)
    body = {"filter": {"last_outcome": "failed"}}
    assert caller.post("jobs/bulk/pause", {**body, "dry_run": True}).json["matched"] == 1
    done = ended(caller, start(caller, "pause", body)["id"])
    assert (done["matched"], done["filter"]) == (1, {"last_outcome": "failed"})
    assert statuses(caller) == {failing: "paused", fine: "active"}
    monkeypatch.setattr(lists, "MAX_EXAMINED", 1)
    assert "filter.last_outcome" in errors_of(caller.post("jobs/bulk/pause", body))


ONE_TICK = """
from datetime import timedelta
from chronos_api.app import create_app
from chronos_api.bulk import runner
from chronos_common.settings import load
# Others have to wait for it.
runner.BATCH, runner.AHEAD = 2, timedelta(hours=2)
runner.of(create_app(load())).tick()
"""


def pauses(db: Engine, caller: Caller) -> int:
    query = select(func.count()).where(
        audit_log.c.workspace_id == caller.workspace_id, audit_log.c.action == "job.pause"
    )
    with db.connect() as connection:
        return int(connection.execute(query).scalar_one())


def test_a_process_that_is_killed_changes_no_job_twice(
    caller: Caller, db: Engine, servers: Servers, resting: Resting
) -> None:
    for _ in range(5):
        caller.create(tags=["night"])
    change = start(caller, "pause", NIGHT)
    url = db.url.render_as_string(hide_password=False)
    killed = subprocess.run(
        [sys.executable, "-c", ONE_TICK],
        env={**environment(url, servers.redis_url), "CHRONOS_FAULT_POINT": "bulk.changed"},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -9
    assert pauses(db, caller) == 0
    resting()
    assert counts(ended(caller, change["id"])) == (5, 5, 5, 0, 0, 0)
    assert pauses(db, caller) == 5


def test_a_server_goes_on_with_the_changes_of_another(
    caller: Caller,
    db: Engine,
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_changes, "next_due", lambda _: None)
    caller.create(tags=["night"])
    change = start(caller, "pause", NIGHT)
    url = db.url.render_as_string(hide_password=False)
    with serving(url, servers.redis_url, tmp_path, CHRONOS_API_WORKERS="1"):
        wait_until(lambda: pauses(db, caller) == 1, within=60, every=0.05)
    assert caller.get(f"bulk-changes/{change['id']}").json["state"] == "done"

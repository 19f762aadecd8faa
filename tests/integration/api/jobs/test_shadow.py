"""Jobs in shadow: recorded, and not sent."""

from datetime import datetime

from sqlalchemy import Engine

from integration.api.callers import Caller
from integration.api.rows import fates, in_seconds, plan


def test_a_job_that_goes_into_shadow_skips_its_runs_planned_ahead(
    caller: Caller, db: Engine
) -> None:
    made = caller.create(schedule_type="interval", interval_seconds=1, cron_expression=...)
    due, ahead = plan(db, caller, made["id"], [in_seconds(-1), in_seconds(1)])
    changed = caller.patch(f"jobs/{made['id']}", {"shadow": True}).json
    assert changed["shadow"] is True
    assert fates(db, [due, ahead]) == [("queued", None), ("skipped", "shadow")]


def test_the_explanation_of_a_run_to_come_says_that_nothing_is_sent(caller: Caller) -> None:
    made = caller.create(shadow=True)
    instant = datetime.fromisoformat(made["next_run_at"]).isoformat()
    told = caller.get(f"jobs/{made['id']}/why", query_string={"at": instant}).json
    assert told["verdict"] == "to_come"
    assert "not sent, as the job is in shadow" in told["explanation"]


def test_a_run_by_hand_of_a_job_in_shadow_is_sent(caller: Caller) -> None:
    made = caller.create(shadow=True)
    assert caller.post(f"jobs/{made['id']}/execute").json["status"] == "queued"

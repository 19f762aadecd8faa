"""SIGTERM under load: everything ends in time, well, and with nothing lost or repeated."""

import signal
import time

import pytest
import requests
from sqlalchemy import text

from acceptance.faults.stage import Stage

pytestmark = pytest.mark.xdist_group("faults-kills")

#: CHRONOS_SHUTDOWN_GRACE_SECONDS of the tests' cluster, and what a busy machine adds.
ENDS_WITHIN = 5 + 10


def test_sigterm_of_everything_under_load_loses_and_repeats_nothing(shared_stage: Stage) -> None:
    """Proves the worker's stop: held batches and unstarted transfers go back, outcomes are kept.

    Fails without ``Webhooks.stop`` giving back (late, redelivered) or the recorder's flush
    (repeated).
    """
    stage = shared_stage
    load = stage.begin()
    for _ in range(2):
        # A process that is still loading has nothing to end, and ends at once.
        stage.until(lambda: _all_are_up(stage), within=60)
        stage.wait(1.5)
        members = list(stage.fleet.members)
        stage.fleet.members.clear()
        for member in members:
            member.process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + ENDS_WITHIN
        codes = [member.process.wait(max(ends - time.monotonic(), 0)) for member in members]
        assert codes == [0] * len(members), stage.fleet.complaints()
        for member in members:
            stage.fleet.add(member.kind)
        stage.recover()
    account = stage.end(load)
    account.assert_nothing_lost(within=30)
    assert account.redelivered == 0, str(account)


def _all_are_up(stage: Stage) -> bool:
    with stage.engine.connect() as connection:
        alive = connection.execute(text("SELECT count(*) FROM workers")).scalar_one()
    others = sum(member.kind != "api" for member in stage.fleet.members)
    try:
        answer = requests.get(f"{stage.cluster.api_url}/api/v1/ready", timeout=5)
    except requests.RequestException:
        return False
    return bool(alive == others and answer.ok)

"""SIGTERM under load: everything ends in time, well, and with nothing lost or repeated."""

import signal
import time

import pytest

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

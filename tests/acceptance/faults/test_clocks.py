"""Hosts whose clocks are an hour off, either way."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from acceptance.faults.stage import Stage, stage

pytestmark = pytest.mark.xdist_group("faults-clocks")

HOUR = 3600


@pytest.fixture
def bare_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One scheduler and one worker, to be replaced."""
    with stage(tmp_path_factory.mktemp("stage"), schedulers=1, workers=1) as bare:
        yield bare


def test_clocks_that_are_an_hour_off_miss_nothing_and_delay_nothing(bare_stage: Stage) -> None:
    """Proves that every process follows the database's clock.

    Fails without ``clock.correct_by`` in the heartbeat: instants come an hour early or late.
    """
    stage = bare_stage
    for kind in ("scheduler", "worker"):
        for member in list(stage.fleet.of(kind)):
            stage.fleet.kill(member)
        for seconds in (HOUR, -HOUR):
            stage.fleet.add(kind, FAULT_CLOCK_SECONDS=str(seconds))
    load = stage.begin(per_second=200)
    stage.recover()
    seen = len(stage.target.received)
    stage.wait(5)
    drifts = sorted(
        each.arrived_at
        - datetime.fromisoformat(each.headers["x-chronos-scheduled-for"]).timestamp()
        for each in stage.target.received[seen:]
    )
    stage.end(load).assert_nothing_lost(within=60)
    print(f"drift: from {drifts[0]:.3f} to {drifts[-1]:.3f} s")  # noqa: T201 - shown with a failure
    assert drifts[0] > -0.05
    # Far from the hour that a clock is off, and far above what a busy machine adds.
    assert drifts[-1] < 60

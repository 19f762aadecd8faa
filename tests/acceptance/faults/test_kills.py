"""kill -9 of schedulers, workers and the API, at random, under 300 executions a second."""

import random
from collections import Counter

import pytest

from acceptance.faults.fleet import Member
from acceptance.faults.stage import Stage
from acceptance.faults.triggers import Triggers
from chronos_common import clock

pytestmark = pytest.mark.xdist_group("faults-kills")

KILLS = 10


def test_nothing_is_lost_when_every_process_is_killed_ten_times(shared_stage: Stage) -> None:
    """Proves plan in one transaction, publishing after it, claims as leases, and rescue.

    Fails without rescue's look at lost workers (stuck) or at lost messages (stuck).
    """
    stage, chance = shared_stage, random.Random(4)  # noqa: S311 - not a secret
    load = stage.begin()
    with Triggers(stage) as triggers:
        victims = ["scheduler", "worker", "api"] * KILLS
        chance.shuffle(victims)
        for kind in victims:
            victim: Member = chance.choice(stage.fleet.of(kind))
            stage.fleet.replace(victim)
            last_kill = clock.host_now()
            stage.wait(chance.uniform(0.2, 1.2))
        stage.until(triggers.is_answered)
    account = stage.end(load)
    # One that was with several workers when they died was delayed by each. What a dying worker has
    # under way is up to the load of a second: it may just have claimed what another one left.
    account.assert_nothing_lost(within=90, repeated=KILLS * len(load.jobs))
    account.assert_recovered(since=last_kill, within=30)
    triggers.assert_all_ran()
    assert Counter(death.kind for death in stage.fleet.deaths) == {}

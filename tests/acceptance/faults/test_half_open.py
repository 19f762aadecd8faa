"""Connections that are open on one side only, and answers that nobody gets."""

from collections.abc import Iterator

import pytest

from acceptance.faults.stage import Stage, stage
from acceptance.faults.triggers import Triggers

pytestmark = pytest.mark.xdist_group("faults-points")

PER_SECOND = 100

#: A dead connection is noticed after 20 s, and a busy machine takes as long again to catch up.
#: Without a bound on the wait, nothing ever is.
RECOVERED_WITHIN = 60


@pytest.fixture(scope="module")
def proxied_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An installation whose connections all pass through proxies."""
    with stage(tmp_path_factory.mktemp("stage"), proxied=True) as proxied:
        yield proxied


@pytest.mark.parametrize("behind", ["redis", "target", "postgres"])
def test_a_half_open_connection_is_noticed_and_loses_nothing(
    proxied_stage: Stage, behind: str
) -> None:
    """Proves that every wait for an answer ends: Redis', the target's, PostgreSQL's.

    Fails without ``socket_timeout`` (redis), or the transfer's own timeout (target), or the
    bound on a transaction's time (postgres). Freezes the connections of all processes at once.
    """
    stage = proxied_stage
    load = stage.begin(per_second=PER_SECOND)
    with Triggers(stage) as triggers:
        stage.wait(1)
        stage.proxies[behind].freeze()
        stage.wait(1)
        stage.recover(within=RECOVERED_WITHIN)
        stage.until(triggers.is_answered, within=RECOVERED_WITHIN)
    account = stage.end(load)
    # An API process that was asked nothing has not noticed yet. The next test would wait for it.
    stage.proxies[behind].close_frozen()
    # What was on its way may have arrived although its answer did not.
    account.assert_nothing_lost(within=RECOVERED_WITHIN + 15, repeated=10 * PER_SECOND)
    triggers.assert_all_ran()


def test_commits_without_an_answer_lose_and_repeat_nothing(proxied_stage: Stage) -> None:
    """Proves that nobody takes a commit without an answer for one that did not happen.

    Fails without ``Claimer.give_back_unanswered``: what was claimed so stays running for minutes.
    """
    stage = proxied_stage
    postgres = stage.proxies["postgres"]
    before = postgres.losses
    load = stage.begin(per_second=PER_SECOND)
    with Triggers(stage) as triggers:
        with postgres.losing(b"COMMIT\0"):
            stage.wait(3)
        stage.until(triggers.is_answered)
        stage.recover()
    assert postgres.losses > before
    stage.end(load).assert_nothing_lost(within=30)
    triggers.assert_all_ran()

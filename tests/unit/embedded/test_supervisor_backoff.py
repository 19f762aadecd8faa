"""How long a child that died waits before it starts again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chronos_common.embedded.supervisor import (
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    STABLE_SECONDS,
    Backoff,
)


def test_the_delay_doubles_up_to_its_bound() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay(0.1) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_child_that_stayed_up_for_a_minute_is_trusted_again() -> None:
    backoff = Backoff()
    for _ in range(20):
        backoff.next_delay(1)
    assert backoff.next_delay(STABLE_SECONDS) == FIRST_DELAY_SECONDS
    assert backoff.next_delay(1) == 2 * FIRST_DELAY_SECONDS


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200))
def test_the_delay_is_bounded_and_falls_only_after_a_stable_run(uptimes: list[float]) -> None:
    backoff = Backoff()
    delays = [backoff.next_delay(uptime) for uptime in uptimes]
    assert all(FIRST_DELAY_SECONDS <= delay <= LONGEST_DELAY_SECONDS for delay in delays)
    for (before, after), uptime in zip(pairwise(delays), uptimes[1:], strict=True):
        assert after >= before or uptime >= STABLE_SECONDS

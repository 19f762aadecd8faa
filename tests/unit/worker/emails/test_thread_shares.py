"""How the threads of a queue are shared among workspaces."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from chronos_worker.emails.thread_shares import ThreadShares
from chronos_worker.exhaustion import Exhausted
from rigs import wait_until


def _most(shares: ThreadShares, sharer: str, held: ExitStack) -> int:
    """Hold as many threads as the sharer gets, and return their number."""
    for count in range(100):
        try:
            held.enter_context(shares.lent(sharer))
        except Exhausted:
            return count
    raise AssertionError("there is no bound")


@pytest.mark.parametrize(
    ("threads", "most"), [(1, [1]), (2, [1, 1]), (3, [2, 1]), (4, [3, 1]), (16, [12, 3, 1])]
)
def test_a_sharer_leaves_threads_to_the_others(threads: int, most: list[int]) -> None:
    shares = ThreadShares(threads, patience_seconds=0)
    with ExitStack() as held:
        for number, expected in enumerate(most):
            assert _most(shares, f"workspace {number}", held) == expected
    with ExitStack() as held:
        assert _most(shares, "workspace 0", held) == most[0]


def test_a_sharer_at_its_bound_waits_for_a_thread_of_its_own() -> None:
    shares = ThreadShares(4, patience_seconds=60)

    def work() -> None:
        with shares.lent("a"):
            pass

    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        for _ in range(3):
            held.enter_context(shares.lent("a"))
        late = pool.submit(work)
        wait_until(lambda: bool(shares._changed._waiters), within=60)
        assert not late.done()
        held.close()
        late.result(60)

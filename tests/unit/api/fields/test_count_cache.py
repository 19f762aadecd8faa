"""Lists that are too long to count: remembered for a time, and not without bound."""

import pytest

from chronos_api.fields import count_cache
from chronos_api.fields.count_cache import LongLists
from chronos_common.storage.pages import Count, counted_to

MOST = 10


class Counted:
    """Counts how often it was asked to count."""

    def __init__(self, found: int) -> None:
        self.found, self.times = found, 0

    def __call__(self) -> Count:
        self.times += 1
        return counted_to(MOST, self.found)


def test_a_long_list_is_not_counted_again_and_a_short_one_is() -> None:
    lists, long, short = LongLists(seconds=3600), Counted(MOST + 1), Counted(MOST)
    assert [lists.count("long", long) for _ in range(3)] == [Count(MOST, is_exact=False)] * 3
    assert [lists.count("short", short) for _ in range(3)] == [Count(MOST, is_exact=True)] * 3
    assert (long.times, short.times) == (1, 3)


def test_a_long_list_is_counted_again_after_its_time() -> None:
    lists, long = LongLists(seconds=0), Counted(MOST + 1)
    for _ in range(3):
        lists.count("long", long)
    assert long.times == 3


def test_no_more_lists_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_cache, "_MAX_KEPT", 2)
    lists, long = LongLists(seconds=3600), Counted(MOST + 1)
    for which in ("first", "second", "third", "first"):
        lists.count(which, long)
    assert long.times == 4

"""Lists that are too long to count: remembered for a time, and not without bound."""

import pytest

from chronos_api.services import long_lists
from chronos_api.services.long_lists import LongLists


def test_a_long_list_is_remembered_for_its_time_only() -> None:
    lists = LongLists(seconds=3600)
    lists.add("one")
    assert (lists.holds("one"), lists.holds("other")) == (True, False)
    over = LongLists(seconds=0)
    over.add("one")
    assert not over.holds("one")


def test_no_more_lists_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lists, "_MAX_KEPT", 2)
    lists = LongLists(seconds=3600)
    for number in range(3):
        lists.add(number)
    assert [lists.holds(number) for number in range(3)] == [False, False, True]

"""Sums of live events: however changes are cut into parts, the whole is the same."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.executions import Moved
from chronos_common.domain.statuses import Status
from chronos_common.events import MAX_NAMED, Sums, read_sums
from chronos_common.storage.change_feed import UserAction

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ID = UUID(int=1)

moves = st.builds(
    Moved,
    st.uuids(),
    st.just(ID),
    st.just(ID),
    st.sampled_from(Status),
    st.just(NOW),
    st.none(),
    st.none(),
)
actions = st.builds(
    UserAction,
    st.just(ID),
    st.just("job"),
    st.uuids(),
    st.sampled_from(["job.pause", "job.create"]),
)


def summed(changes: list[Moved | UserAction]) -> Sums:
    sums = Sums()
    for change in changes:
        sums.add(change)
    return sums


@given(st.lists(moves | actions, max_size=130), st.integers(0, 130))
def test_parts_sum_up_to_the_whole(changes: list[Moved | UserAction], cut: int) -> None:
    whole, parts = summed(changes).document(), summed(changes[:cut])
    parts.merge(summed(changes[cut:]))
    assert parts.document()["executions"] == whole["executions"]
    assert parts.document() == whole
    assert sum(whole["executions"].values()) == sum(isinstance(each, Moved) for each in changes)
    acted = sum(isinstance(each, UserAction) for each in changes)
    assert len(whole["actions"]) + whole["omitted"] == acted
    assert max(len(whole["actions"]), len(whole["latest"])) <= MAX_NAMED


@given(st.lists(moves | actions, max_size=60))
def test_what_is_written_can_be_read(changes: list[Moved | UserAction]) -> None:
    document = summed(changes).document()
    assert read_sums(json.dumps(document).encode()).document() == document


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"1", b'{"executions": []}', b"\xff"])
def test_what_is_not_a_sum_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message will do
        read_sums(content)

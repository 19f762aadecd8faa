"""Ids: occurrence ids are a function of job and instant, and sort by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common import ids

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2500, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)


@given(st.uuids(), MOMENTS)
def test_an_occurrence_has_one_id_that_holds_its_millisecond(
    job_id: UUID, moment: datetime
) -> None:
    identifier = ids.occurrence_id(job_id, moment)
    assert identifier == ids.occurrence_id(job_id, moment)
    assert (identifier.version, identifier.variant) == (8, "specified in RFC 4122")
    assert timedelta(0) <= moment - ids.moment_of(identifier) < timedelta(milliseconds=1)


@given(st.uuids(), st.uuids(), MOMENTS)
def test_jobs_with_the_same_instant_have_different_ids(
    one: UUID, other: UUID, moment: datetime
) -> None:
    same = ids.occurrence_id(one, moment) == ids.occurrence_id(other, moment)
    assert same == (one == other)


@given(st.uuids(), MOMENTS, MOMENTS)
def test_ids_sort_by_instant_whatever_made_them(job_id: UUID, a: datetime, b: datetime) -> None:
    earlier, later = sorted((a, b))
    if ids.milliseconds(earlier) == ids.milliseconds(later):
        return
    made = [ids.occurrence_id(job_id, earlier), ids.trigger_id(earlier), ids.new_id(earlier)]
    assert max(made) < ids.lowest_at(later) <= ids.occurrence_id(job_id, later)


def test_triggers_at_one_instant_are_different_executions() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    assert len({ids.trigger_id(moment) for _ in range(100)}) == 100


@given(st.lists(st.uuids()))
def test_what_was_packed_is_unpacked(identifiers: list[UUID]) -> None:
    packed = ids.pack(identifiers)
    assert len(packed) == len(identifiers) * ids.PACKED_LENGTH
    unpacked = ids.unpack(packed)
    assert unpacked == identifiers
    assert [(str(each), hash(each)) for each in unpacked] == [
        (str(each), hash(each)) for each in identifiers
    ]


@pytest.mark.parametrize("text", ["0", "x" * 32, "00" * 15, "00" * 17])
def test_nothing_else_is_unpacked(text: str) -> None:
    with pytest.raises(ValueError, match=r"hexadecimal|identifiers"):
        ids.unpack(text)

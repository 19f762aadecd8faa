"""Histograms of milliseconds: every value has its bucket, and percentiles are near the truth."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from chronos_common.domain import histograms

WEEK = 604_800_000
VALUES = st.integers(0, WEEK) | st.integers(0, 200)


@given(VALUES)
@example(WEEK)
def test_a_value_lies_in_its_bucket_which_is_narrow(value: int) -> None:
    bucket = histograms.bucket_of(value)
    low, high = histograms.lowest_of(bucket), histograms.lowest_of(bucket + 1)
    assert low <= value < high
    assert high - low <= max(1, low / 4)


def test_what_is_out_of_bounds_is_in_the_outermost_buckets() -> None:
    assert histograms.bucket_of(-5) == 0
    assert histograms.bucket_of(WEEK) == histograms.bucket_of(10**12)
    assert histograms.bucket_of(10**12) == histograms.MAX_BUCKETS - 1


@given(st.lists(VALUES, min_size=1, max_size=60), st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_within_a_quarter_of_the_truth(values: list[int], percent: int) -> None:
    counts: list[int] = []
    for value in values:
        histograms.add(counts, value)
    assert sum(counts) == len(values)
    assert len(counts) <= histograms.MAX_BUCKETS
    assert counts[-1]
    exact = sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
    found = histograms.percentile(counts, percent)
    assert found is not None
    assert abs(found - exact) <= max(1, exact / 4)


def test_nothing_has_no_percentile() -> None:
    assert histograms.percentile([], 50) is None
    assert histograms.percentile([0, 0], 50) is None

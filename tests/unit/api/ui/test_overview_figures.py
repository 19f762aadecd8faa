"""The figures of the overview: how they changed, and how late executions started."""

import pytest

from chronos_api.ui.charts import DRIFT_HEIGHT, WIDTH, histogram
from chronos_api.ui.wording import change


@pytest.mark.parametrize(
    ("value", "before", "text"),
    [
        (5, 4, "▲ 25 %"),
        (1, 4, "▼ 75 %"),
        (4, 4, "as before"),
        (1000, 1001, "as before"),
        (3, 0, "▲ from 0"),
        (0, 0, ""),
        (5000, 1, "▲ 499,900 %"),
    ],
)
def test_a_change_is_told_by_its_direction_and_its_size(
    value: int, before: int, text: str
) -> None:
    assert change(value, before) == text


def test_the_steps_of_the_drift_stand_side_by_side_and_rare_ones_are_seen() -> None:
    steps = [
        {"from_ms": 0, "below_ms": 1, "executions": 100_000},
        {"from_ms": 512, "below_ms": 640, "executions": 1},
    ]
    first, last = histogram(steps)
    assert (first.x, first.height) == (0, DRIFT_HEIGHT)
    assert last.x + last.width == WIDTH
    assert last.height >= 2
    assert last.y + last.height == DRIFT_HEIGHT
    assert histogram([]) == []

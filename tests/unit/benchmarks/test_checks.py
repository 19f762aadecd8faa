"""What the benchmark makes of its figures."""

import pytest

from benchmarks import checks
from benchmarks.results import Result


def tried(due: int, done: float) -> Result:
    return Result("celery-beat", f"{due} entries", {"due_per_s": due, "done_per_s": done})


@pytest.mark.parametrize(
    ("trials", "held"),
    [
        ([tried(100, 100), tried(200, 198), tried(300, 296.9), tried(400, 350)], 200),
        ([tried(100, 98)], 0),
        ([], 0),
    ],
)
def test_a_control_holds_the_largest_rate_of_which_99_percent_arrive(
    trials: list[Result], held: int
) -> None:
    other = Result("apscheduler", "900 jobs", {"due_per_s": 900, "done_per_s": 900})
    assert checks.held_by([*trials, other], "celery-beat") == held


def test_the_capacity_is_compared_with_what_celery_beat_holds() -> None:
    capacity = Result("ladder", "capacity", {"capacity_per_s": 5000})
    (check,) = [
        each
        for each in checks.check([capacity, tried(200, 200), tried(300, 290)])
        if "celery-beat" in each.what
    ]
    assert (check.reached, check.met) == ("25.0 times", True)

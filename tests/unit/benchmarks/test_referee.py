"""The referee of the benchmarks finds each fault, and finds none where there is none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks import checks, referee, scenarios
from benchmarks.referee import Row, Seen
from benchmarks.results import Result, faults_of, medians
from benchmarks.scenarios import ladder
from benchmarks.target import Arrival
from repository import ROOT

AT = 1_795_242_600_000
ROW = Row("one", "job", AT, "succeeded", attempts=1)
ARRIVAL = Arrival(AT * 1_000_000, "job", "one", AT, attempt=1)


def faults(*arrivals: Arrival, row: Row | None = ROW, expected: int = 1) -> dict[str, int]:
    """Return the faults that were found, without those of which there are none."""
    seen = Seen([row] if row else [], arrivals)
    found = referee.judge(seen, expected=expected).faults
    return {name: count for name, count in found.items() if count}


def test_one_request_for_each_row_is_right() -> None:
    assert faults(ARRIVAL) == {}


def test_each_attempt_of_a_row_has_its_own_request() -> None:
    retried = replace(ROW, attempts=2)
    assert faults(ARRIVAL, ARRIVAL._replace(attempt=2), row=retried) == {}
    assert faults(ARRIVAL, row=retried) == {"unsent": 1}


def test_an_occurrence_without_a_row_is_missing() -> None:
    assert faults(ARRIVAL, expected=2) == {"missing": 1}
    assert faults(row=None) == {"missing": 1}


def test_a_row_that_claims_success_without_a_request_is_unsent() -> None:
    assert faults() == {"unsent": 1}


def test_a_request_without_a_row_is_unrecorded() -> None:
    stray = ARRIVAL._replace(execution_id="two")
    assert faults(ARRIVAL, stray) == {"unrecorded": 1}


def test_a_row_without_a_fate_is_unrecorded() -> None:
    assert faults(ARRIVAL, row=replace(ROW, status="running")) == {"unrecorded": 1}


def test_an_attempt_that_the_row_does_not_know_is_unrecorded() -> None:
    assert faults(ARRIVAL, ARRIVAL._replace(attempt=2)) == {"unrecorded": 1}


def test_the_same_attempt_twice_is_a_duplicate() -> None:
    assert faults(ARRIVAL, ARRIVAL._replace(at_ns=ARRIVAL.at_ns + 1)) == {"duplicates": 1}


@pytest.mark.parametrize("wrong", [{"job_id": "other"}, {"scheduled_ms": AT + 1}])
def test_a_request_for_another_job_or_instant_than_its_row_is_mismatched(
    wrong: dict[str, object],
) -> None:
    assert faults(ARRIVAL._replace(**wrong)) == {"mismatched": 1}  # type: ignore[arg-type]


def test_drift_is_that_of_first_attempts_in_the_window() -> None:
    def after(milliseconds: float, **changes: int) -> Arrival:
        late = int(milliseconds * 1_000_000)
        return ARRIVAL._replace(at_ns=ARRIVAL.at_ns + late, **changes)

    since = datetime.fromtimestamp(AT / 1000, UTC)
    until = datetime.fromtimestamp(AT / 1000 + 1, UTC)
    arrivals = [after(7.5), after(2.0), after(900, attempt=2), after(3, scheduled_ms=AT + 1000)]
    assert referee.drifts_ms(arrivals, since=since, until=until) == [2.0, 7.5]


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert referee.percentile(ordered, 0.5) == 51
    assert referee.percentile(ordered, 0.99) == 100
    assert referee.percentile(ordered, 1) == 100
    assert referee.percentile([3.0], 0) == 3.0


def test_repeats_are_joined_by_medians_but_a_fault_in_one_of_them_stays() -> None:
    repeats = [
        Result("ladder", "500", {"drift_p99_ms": p99, "duplicates": duplicates})
        for p99, duplicates in ((30.0, 0), (10.0, 1), (20.0, 0))
    ]
    (joined,) = medians(repeats)
    assert joined.figures["drift_p99_ms"] == 20.0
    assert faults_of(joined) == 1


def test_a_capacity_counts_as_the_worst_of_its_repeats() -> None:
    repeats = [Result("ladder", "capacity", {"capacity_per_s": n}) for n in (8000, 6000, 7000)]
    (capacity,) = checks.check(medians(repeats))
    assert (capacity.reached, capacity.met) == ("6,000.0/s", False)


def test_a_capacity_between_two_trials_is_explained_by_the_one_below() -> None:
    trials = [
        Result(
            "ladder",
            ladder.case(due),
            {
                "due_per_s": float(due),
                "cpu_worker_s_per_1000": 0.2,
                "drift_p99_ms": 9.0,
                "peak_worker_mib": 9.0,
            },
        )
        for due in (2000, 4000, 6000)
    ]
    repeats = [Result("ladder", "capacity", {"capacity_per_s": n}) for n in (4000, 6000)]
    capacity = checks.check(medians([*trials, *repeats]))[0]
    assert "at 4,000 at one instant (worker 0.200)" in capacity.explanation


def test_a_missed_target_says_where_the_time_went() -> None:
    costs = {"cpu_worker_s_per_1000": 0.2, "cpu_PostgreSQL_s_per_1000": 0.3}
    late = Result("ladder", ladder.case(1000), costs | {"drift_p99_ms": 151})
    (p99,) = [each for each in checks.check([late]) if each.what.endswith("p99 drift")]
    assert not p99.met
    assert p99.explanation.startswith(
        "0.50 CPU s per 1,000 at 1,000 at one instant (PostgreSQL 0.300, worker 0.200"
    )


def test_every_scenario_is_described() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    for name in scenarios.SCENARIOS:
        assert f"| `{name}` |" in page, name

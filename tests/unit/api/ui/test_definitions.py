"""The definition of a job in plain words."""

import pytest

from chronos_api.jobs.schemas import JobFields
from chronos_api.ui import definitions
from chronos_common.domain.overlaps import OverlapPolicy
from chronos_common.domain.payloads import TYPES
from chronos_common.domain.schedules.misfires import MisfirePolicy

JOB = dict.fromkeys(JobFields().fields) | {
    "cron_expression": "0 9 * * *",
    "timezone": "Europe/Berlin",
    "day_match": "any",
    "jitter_seconds": 0.0,
    "overlap_policy": "queue_one",
    "misfire_policy": "skip",
    "misfire_grace_seconds": 90.0,
    "max_attempts": 4,
    "retry_delays": [1.5, 60.0, 7200.0],
    "retry_jitter": 0.0,
    "timeout_seconds": 30.0,
    "shadow": False,
}


def facts(**changes: object) -> dict[str, str]:
    return {each.name: each.value for each in definitions.facts(JOB | changes)}


def test_a_definition_reads_as_people_say_it() -> None:
    assert facts() == {
        "Cron expression": "0 9 * * *",
        "Time zone": "Europe/Berlin",
        "If an earlier run goes on": "let one wait",
        "If runs were missed": "run none",
        "Missed if later than": "1 min 30 s",
        "Attempts": "4",
        "An attempt may take": "30 s",
        "Waits between attempts": "1.5 s, 1 min, 2 h",
        "Told of failures": "its creator",
    }


def test_waits_that_grow_are_told_by_their_rule() -> None:
    growing = {
        "retry_delays": [],
        "backoff_seconds": 30.0,
        "backoff_factor": 2.0,
        "backoff_cap_seconds": 3600.0,
        "retry_jitter": 0.5,
    }
    expected = "30 s, then 2 times as long each, up to 1 h, and up to 50% more"
    assert facts(**growing)["Waits between attempts"] == expected
    assert "Waits between attempts" not in facts(max_attempts=1)


@pytest.mark.parametrize(
    ("notify", "text"), [([], "nobody"), (["a@example.com", "b@example.com"], "a@example.com, b@")]
)
def test_it_says_who_is_told(notify: list[str], text: str) -> None:
    assert facts(notify=notify)["Told of failures"].startswith(text)


def test_every_choice_has_words() -> None:
    assert set(definitions.OVERLAPS) == set(OverlapPolicy)
    assert set(definitions.MISFIRES) == set(MisfirePolicy)
    assert set(definitions.types()) == set(TYPES)

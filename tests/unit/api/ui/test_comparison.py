"""Two executions side by side."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_api.ui import comparison

DUE = datetime(2026, 12, 1, tzinfo=UTC)


def execution(body: str, **changes: Any) -> Any:
    attempt = {
        "number": 1,
        "timing_ms": {"dns": 2.0, "total": 88.0},
        "request": {"method": "POST", "url": "https://example.com/", "headers": {"A": "1"}},
        "response": {"status": 200, "headers": {"Date": "x"}, "body": body},
    }
    return {
        "status": "succeeded",
        "reason": None,
        "error": None,
        "scheduled_for": DUE,
        "started_at": DUE + timedelta(milliseconds=7),
        "duration_ms": 88,
        "attempt": 1,
        "http_status": 200,
        "trigger": "schedule",
        "attempts": [attempt],
    } | changes


def test_only_the_things_that_differ_are_marked() -> None:
    left = execution('{"a": 1, "b": [1, 2]}', status="failed", error="The target answered 503.")
    right = execution('{"a": 1, "b": [1, 3]}')
    differing = [pair.name for pair in comparison.figures(left, right) if pair.differs]
    assert differing == ["Outcome", "Why"]
    request, response = comparison.parts(left, right)
    assert not request.differs
    assert response.differs
    changed = [(line.mark, line.text.strip()) for line in response.lines if line.mark != " "]
    assert changed == [("-", "2"), ("+", "3")]


def test_an_execution_that_never_ran_is_compared_too() -> None:
    skipped = execution("", status="skipped", started_at=None, duration_ms=None, attempts=[])
    assert any(pair.differs for pair in comparison.figures(skipped, execution("x")))
    assert all(part.differs for part in comparison.parts(skipped, execution("x")))


def test_the_lines_of_long_bodies_are_bounded() -> None:
    long = "\n".join(str(line) for line in range(5000))
    (_, response) = comparison.parts(execution(long), execution("other"))
    assert len(response.lines) <= comparison.MAX_LINES + 1

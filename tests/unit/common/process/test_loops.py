"""Loops go on, whatever a tick does."""

from threading import Event

import pytest
from structlog.testing import capture_logs

from chronos_common.process import loops
from chronos_common.process.loops import Loop, stop_all


def test_a_loop_that_finds_work_does_not_rest() -> None:
    enough = Event()
    ticks = iter(range(1000))

    def tick() -> bool:
        if next(ticks) == 999:
            enough.set()
        return not enough.is_set()

    loop = Loop("busy", tick, idle_seconds=3600)
    loop.start()
    assert enough.wait(10)
    assert stop_all([loop], timeout=5) == []


def test_a_tick_that_raises_does_not_end_the_loop() -> None:
    second = Event()
    ticks = iter(range(2))

    def tick() -> bool:
        if next(ticks) == 0:
            raise RuntimeError("poison")
        second.set()
        return False

    loop = Loop("poisoned", tick, idle_seconds=3600)
    loop.start()
    assert second.wait(10)
    assert stop_all([loop], timeout=5) == []


def test_only_the_first_of_equal_errors_is_logged_with_its_place() -> None:
    """Else an absence of the database fills the log with tracebacks."""
    errors = [OSError("away"), OSError("away"), ValueError("another"), None, ValueError("again")]
    done = Event()
    ticks = iter(errors)

    def tick() -> bool:
        error = next(ticks)
        if error is errors[-1]:
            done.set()
        if error is not None:
            raise error
        return True

    loop = Loop("failing", tick, idle_seconds=0)
    with capture_logs() as logged:
        loop.start()
        assert done.wait(20)
        assert stop_all([loop], timeout=5) == []
    found = [(each["error"], bool(each["exc_info"])) for each in logged[:4]]
    assert found == [("away", True), ("away", False), ("another", True), ("again", True)]


def test_a_resting_loop_wakes_when_it_is_told_to() -> None:
    ticked = [Event(), Event()]
    waiting = iter(ticked)

    def tick() -> bool:
        next(waiting).set()
        return False

    loop = Loop("resting", tick, idle_seconds=3600)
    loop.start()
    assert ticked[0].wait(10)
    loop.wake()
    assert ticked[1].wait(10)
    assert stop_all([loop], timeout=5) == []


def test_a_loop_that_does_not_end_is_named() -> None:
    release = Event()
    loop = Loop("stuck", lambda: release.wait(60), idle_seconds=0)
    loop.start()
    assert stop_all([loop], timeout=0.05) == ["stuck"]
    release.set()
    assert loop.join(5)


def _rests(loop: Loop) -> float:
    """Return for how long the loop rests after a tick."""
    return loop._tick_once()


def test_a_loop_looks_often_for_a_while_after_it_found_work_or_was_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, found = 1000.0, [False, True, False]
    monkeypatch.setattr(loops.time, "monotonic", lambda: now)
    loop = Loop("plan", lambda: found.pop(0) if found else False, idle_seconds=1, quiet_seconds=9)
    assert [_rests(loop) for _ in range(3)] == [9, 0, 1]
    now += loops.ALERT_SECONDS - 0.001
    assert _rests(loop) == 1
    now += 0.001
    assert _rests(loop) == 9
    loop.wake()
    assert _rests(loop) == 1


def test_a_loop_that_is_held_up_goes_on_looking_often() -> None:
    held_up = True
    loop = Loop(
        "dispatch", lambda: False, idle_seconds=1, quiet_seconds=9, is_held_up=lambda: held_up
    )
    assert _rests(loop) == 1
    loop._alert_until, held_up = 0.0, False
    assert _rests(loop) == 9


def test_a_function_may_say_how_long_a_quiet_loop_rests() -> None:
    rests = iter([4.0, 0.25])
    loop = Loop("plan", lambda: False, idle_seconds=1, quiet_seconds=lambda: next(rests))
    assert [_rests(loop), _rests(loop)] == [4, 0.25]


def test_a_loop_without_quiet_rests_the_same_always() -> None:
    assert {_rests(Loop("rescue", lambda: False, idle_seconds=3)) for _ in range(3)} == {3}


def test_hints_end_a_quiet_rest_and_no_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(loops.time, "monotonic", lambda: now)
    loop = Loop("plan", lambda: False, idle_seconds=1, quiet_seconds=9)
    assert _rests(loop) == 9
    loop.hint()
    assert loop._wake.is_set()
    loop._wake.clear()
    assert _rests(loop) == 1
    for _ in range(100):
        now += loops.ALERT_SECONDS - 0.001
        loop.hint()
        assert not loop._wake.is_set()
        assert _rests(loop) == 1

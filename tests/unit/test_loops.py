"""Loops go on, whatever a tick does."""

from threading import Event

from chronos_common.loops import Loop, stop_all


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

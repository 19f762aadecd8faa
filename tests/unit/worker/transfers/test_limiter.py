"""Which request may start next: pure rules, with time as a number."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

import rigs
from chronos_worker.http.request import Request
from chronos_worker.transfers.limiter import SLOW_AFTER, Limits, Slot, Slots

A, B, C = "http://a/", "http://b/", "http://c/"


def _take_all(slots: Slots, now: float = 0) -> list[Slot]:
    taken = []
    while slot := slots.take(now):
        taken.append(slot)
    return taken


def _urls(slots: Sequence[Slot]) -> list[str]:
    return [slot.request.target.url for slot in slots]


def _requests(*urls: str) -> list[Request]:
    return [rigs.request_to(url) for url in urls]


def _offer(slots: Slots, requests: Sequence[Request]) -> None:
    for request in requests:
        slots.offer(request)


def test_requests_start_first_in_first_out() -> None:
    slots = Slots(Limits(10, 10))
    requests = _requests(A, A, A)
    _offer(slots, requests)
    assert [slot.request for slot in _take_all(slots)] == requests


def test_a_host_gets_no_more_than_its_quota_and_does_not_delay_another() -> None:
    slots = Slots(Limits(10, 2))
    _offer(slots, _requests(A, A, A, A, B))
    assert _urls(_take_all(slots)) == [A, B, A]


def test_hosts_take_turns_when_places_are_scarce() -> None:
    slots = Slots(Limits(1, 1))
    _offer(slots, _requests(A, A, A, B, B, C))
    order = []
    while slot := slots.take(0):
        order.append(slot.request.target.url)
        slots.release(slot, 0)
    assert order == [A, B, C, A, B, A]


def test_a_place_that_is_given_back_is_used_again() -> None:
    slots = Slots(Limits(10, 1))
    _offer(slots, _requests(A, A))
    (first,) = _take_all(slots)
    slots.release(first, 0.1)
    assert _urls(_take_all(slots)) == [A]


def test_the_port_tells_hosts_apart() -> None:
    slots = Slots(Limits(10, 1))
    _offer(slots, _requests("http://a:1/", "http://a:2/"))
    assert len(_take_all(slots)) == 2


def test_a_slow_job_may_hold_half_of_its_hosts_places() -> None:
    slots = Slots(Limits(100, 4))
    (slow,) = _requests(A)
    slots.offer(slow)
    (flying,) = _take_all(slots)
    slots.age(SLOW_AFTER)
    _offer(slots, [rigs.again(slow, after=number) for number in range(1, 9)])
    _offer(slots, [rigs.again(each, after=60) for each in _requests(A, A, A)])
    jobs = Counter(slot.request.target.job_id for slot in _take_all(slots, SLOW_AFTER))
    assert jobs.pop(slow.target.job_id) == 1, "with the one that hangs, half of four"
    assert sum(jobs.values()) == 2
    slots.release(flying, SLOW_AFTER + 5)
    assert len(_take_all(slots, SLOW_AFTER + 5)) == 1


def test_slow_jobs_may_hold_half_of_all_places() -> None:
    slots = Slots(Limits(4, 4))
    slow = _requests(A, B, C)
    _offer(slots, slow)
    _take_all(slots)
    slots.age(SLOW_AFTER)
    _offer(slots, [rigs.again(each, after=1) for each in slow])
    assert _take_all(slots, SLOW_AFTER) == []
    _offer(slots, _requests(A))
    assert len(_take_all(slots, SLOW_AFTER)) == 1


def test_what_comes_while_its_job_is_under_way_takes_no_more_than_half() -> None:
    slots = Slots(Limits(4, 4))
    hanging, quick = _requests(A, B)
    slots.offer(hanging)
    _take_all(slots)
    slots.release(_offered_and_taken(slots, quick), 0.1)
    # Nobody knows yet that the first one hangs.
    _offer(slots, [rigs.again(hanging, after=1), rigs.again(hanging, after=2)])
    _offer(slots, [rigs.again(quick, after=1)])
    assert Counter(_urls(_take_all(slots, 0.9))) == {A: 2, B: 1}
    _offer(slots, [rigs.again(hanging, after=3), rigs.again(hanging, after=4)])
    assert _take_all(slots, 0.9) == []


def _offered_and_taken(slots: Slots, request: Request) -> Slot:
    slots.offer(request)
    (slot,) = _take_all(slots)
    return slot


def test_a_job_that_is_found_slow_while_it_waits_changes_lanes() -> None:
    slots = Slots(Limits(100, 2))
    slow, quick = _requests(A, A)
    _offer(slots, [slow, rigs.again(slow, after=1), rigs.again(slow, after=2), quick])
    first, _ = _take_all(slots)
    slots.age(SLOW_AFTER)
    slots.release(first, SLOW_AFTER)
    assert [slot.request for slot in _take_all(slots, SLOW_AFTER)] == [quick]


def test_a_slow_job_that_becomes_quick_is_treated_as_such() -> None:
    slots = Slots(Limits(100, 2))
    (job,) = _requests(A)
    slots.offer(job)
    (hanging,) = _take_all(slots)
    slots.age(SLOW_AFTER)
    slots.release(hanging, 5)
    slots.offer(rigs.again(job, after=1))
    (quick,) = _take_all(slots, 5)
    slots.release(quick, 5.1)
    _offer(slots, [rigs.again(job, after=2), rigs.again(job, after=3)])
    assert len(_take_all(slots, 6)) == 2


def test_an_aborted_transfer_does_not_prove_its_job_quick() -> None:
    slots = Slots(Limits(100, 2))
    (job,) = _requests(A)
    slots.offer(job)
    (hanging,) = _take_all(slots)
    slots.age(SLOW_AFTER)
    slots.release(hanging, 5)
    slots.offer(rigs.again(job, after=1))
    (aborted,) = _take_all(slots, 5)
    slots.release(aborted, 5.1, ended=False)
    _offer(slots, [rigs.again(job, after=2), rigs.again(job, after=3)])
    assert len(_take_all(slots, 6)) == 1


def test_what_waits_for_a_host_that_hangs_does_not_count_as_behind() -> None:
    slots = Slots(Limits(10, 2))
    _offer(slots, _requests(A, A, A, A, A))
    _take_all(slots)
    assert slots.behind() == 3
    slots.age(SLOW_AFTER)
    _offer(slots, _requests(B, B, B, B))
    _take_all(slots)
    assert slots.behind() == 2


def test_hosts_with_nothing_to_do_are_forgotten() -> None:
    slots = Slots(Limits(10, 10))
    _offer(slots, _requests(A, B, C))
    for slot in _take_all(slots):
        slots.release(slot, 0.1)
    slots.age(10)
    assert _take_all(slots) == []
    assert not slots._hosts
    assert not slots._turns
    assert not slots._young


@given(
    hosts=st.lists(st.sampled_from([A, B, C]), max_size=30),
    steps=st.lists(st.sampled_from(["take", "release", "age"]), max_size=80),
    limits=st.builds(Limits, st.integers(1, 6), st.integers(1, 4)),
)
def test_limits_hold_and_nothing_is_lost_or_doubled(
    hosts: list[str], steps: list[str], limits: Limits
) -> None:
    slots = Slots(limits)
    jobs = {url: rigs.request_to(url) for url in (A, B, C)}
    offered = [rigs.again(jobs[url], after=number) for number, url in enumerate(hosts)]
    _offer(slots, offered)
    now, running, started = 0.0, list[Slot](), list[Request]()
    for step in steps + ["age", "take", "release"] * (len(offered) + 1):
        now += 0.3
        if step == "age":
            slots.age(now)
        elif step == "release" and running:
            slots.release(running.pop(0), now)
        elif step == "take" and (slot := slots.take(now)):
            running.append(slot)
            started.append(slot.request)
        per_host = Counter(slot.request.target.origin for slot in running)
        assert len(running) <= limits.max_transfers
        assert all(count <= limits.max_per_host for count in per_host.values())
    assert sorted(started, key=lambda each: each.execution.id) == sorted(
        offered, key=lambda each: each.execution.id
    )

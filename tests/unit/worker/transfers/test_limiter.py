"""Which request may start next: pure rules, with time as a number."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

import rigs
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.limiter import SLOW_AFTER, Limiter, Limits, Permit

OTHER = UUID(int=77)
A, B, C = "http://a/", "http://b/", "http://c/"


def _take_all(limiter: Limiter, now: float = 0) -> list[Permit]:
    taken = []
    while permit := limiter.acquire(now):
        taken.append(permit)
    return taken


def _urls(limiter: Sequence[Permit]) -> list[str]:
    return [permit.request.template.url for permit in limiter]


def _requests(*urls: str) -> list[TransferRequest]:
    return [rigs.request_to(url) for url in urls]


def _of_other(request: TransferRequest) -> TransferRequest:
    """Return the request as one of another workspace."""
    return request._replace(execution=request.execution._replace(workspace_id=OTHER))


def _requests_of_other(*urls: str) -> list[TransferRequest]:
    return [_of_other(each) for each in _requests(*urls)]


def _order(limiter: Limiter) -> list[TransferRequest]:
    """Return the order in which requests start where there is a single place."""
    order = []
    while permit := limiter.acquire(0):
        order.append(permit.request)
        limiter.release(permit, 0)
    return order


def _offer(limiter: Limiter, requests: Sequence[TransferRequest]) -> None:
    for request in requests:
        limiter.enqueue(request)


def test_requests_start_first_in_first_out() -> None:
    limiter = Limiter(Limits(10, 10))
    requests = _requests(A, A, A)
    _offer(limiter, requests)
    assert [permit.request for permit in _take_all(limiter)] == requests


def test_a_host_gets_no_more_than_its_quota_and_does_not_delay_another() -> None:
    limiter = Limiter(Limits(10, 2))
    _offer(limiter, _requests(A, A, A, A, B))
    assert _urls(_take_all(limiter)) == [A, B, A]


def test_hosts_take_turns_when_places_are_scarce() -> None:
    limiter = Limiter(Limits(1, 1))
    _offer(limiter, _requests(A, A, A, B, B, C))
    order = []
    while permit := limiter.acquire(0):
        order.append(permit.request.template.url)
        limiter.release(permit, 0)
    assert order == [A, B, C, A, B, A]


def test_workspaces_take_turns_at_one_host() -> None:
    """Fails if a host's requests are in one line: then the other one's is the last."""
    limiter = Limiter(Limits(1, 1))
    busy, (other,) = _requests(*[A] * 100), _requests_of_other(A)
    _offer(limiter, [*busy, other])
    assert _order(limiter).index(other) == 1


def test_a_workspace_with_many_hosts_has_no_more_turns_than_another() -> None:
    """Fails if hosts take turns, whoever they belong to."""
    limiter = Limiter(Limits(1, 1))
    busy, others = _requests(*(f"http://{n}/" for n in range(100))), _requests_of_other(A, A, B)
    _offer(limiter, [*busy, *others])
    order = _order(limiter)
    assert [order.index(each) for each in (others[0], others[2], others[1])] == [1, 3, 5]


def test_a_workspace_leaves_places_to_another() -> None:
    """Fails if one may have every place: its transfers may hang for minutes."""
    limiter = Limiter(Limits(1000, 1000))
    _offer(limiter, _requests(*(f"http://{n}/" for n in range(1100))))
    assert 960 <= len(_take_all(limiter)) <= 975
    _offer(limiter, _requests_of_other(A, B, C))
    assert _urls(_take_all(limiter)) == [A, B, C]


def test_a_workspace_leaves_places_of_a_host_to_another() -> None:
    limiter = Limiter(Limits(10_000, 100))
    _offer(limiter, _requests(*[A] * 200))
    busy = _take_all(limiter)
    assert 90 <= len(busy) < 100
    _offer(limiter, _requests_of_other(A))
    (permit,) = _take_all(limiter)
    limiter.release(permit, 0.1)
    # The busy one goes on as its own transfers end.
    for each in busy[:10]:
        limiter.release(each, 0.1)
    assert len(_take_all(limiter)) == 10


def test_a_place_that_is_given_back_is_used_again() -> None:
    limiter = Limiter(Limits(10, 1))
    _offer(limiter, _requests(A, A))
    (first,) = _take_all(limiter)
    limiter.release(first, 0.1)
    assert _urls(_take_all(limiter)) == [A]


def test_the_port_tells_hosts_apart() -> None:
    limiter = Limiter(Limits(10, 1))
    _offer(limiter, _requests("http://a:1/", "http://a:2/"))
    assert len(_take_all(limiter)) == 2


def test_a_slow_job_may_hold_half_of_its_hosts_places() -> None:
    limiter = Limiter(Limits(100, 4))
    (slow,) = _requests(A)
    limiter.enqueue(slow)
    (flying,) = _take_all(limiter)
    limiter.mark_slow(SLOW_AFTER)
    _offer(limiter, [rigs.again(slow, after=number) for number in range(1, 9)])
    _offer(limiter, [rigs.again(each, after=60) for each in _requests(A, A, A)])
    jobs = Counter(permit.request.template.job_id for permit in _take_all(limiter, SLOW_AFTER))
    assert jobs.pop(slow.template.job_id) == 1, "with the one that hangs, half of four"
    assert sum(jobs.values()) == 2
    limiter.release(flying, SLOW_AFTER + 5)
    assert len(_take_all(limiter, SLOW_AFTER + 5)) == 1


def test_slow_jobs_may_hold_half_of_all_places() -> None:
    limiter = Limiter(Limits(4, 4))
    slow = _requests(A, B, C)
    _offer(limiter, slow)
    _take_all(limiter)
    limiter.mark_slow(SLOW_AFTER)
    _offer(limiter, [rigs.again(each, after=1) for each in slow])
    assert _take_all(limiter, SLOW_AFTER) == []
    _offer(limiter, _requests(A))
    assert len(_take_all(limiter, SLOW_AFTER)) == 1


def test_what_comes_while_its_job_is_under_way_takes_no_more_than_half() -> None:
    limiter = Limiter(Limits(4, 4))
    hanging, quick = _requests(A, B)
    limiter.enqueue(hanging)
    _take_all(limiter)
    limiter.release(_offered_and_taken(limiter, quick), 0.1)
    # Nobody knows yet that the first one hangs.
    _offer(limiter, [rigs.again(hanging, after=1), rigs.again(hanging, after=2)])
    _offer(limiter, [rigs.again(quick, after=1)])
    assert Counter(_urls(_take_all(limiter, 0.9))) == {A: 2, B: 1}
    _offer(limiter, [rigs.again(hanging, after=3), rigs.again(hanging, after=4)])
    assert _take_all(limiter, 0.9) == []


def _offered_and_taken(limiter: Limiter, request: TransferRequest) -> Permit:
    limiter.enqueue(request)
    (permit,) = _take_all(limiter)
    return permit


def test_a_job_that_is_found_slow_while_it_waits_changes_lanes() -> None:
    limiter = Limiter(Limits(100, 2))
    slow, quick = _requests(A, A)
    _offer(limiter, [slow, rigs.again(slow, after=1), rigs.again(slow, after=2), quick])
    first, _ = _take_all(limiter)
    limiter.mark_slow(SLOW_AFTER)
    limiter.release(first, SLOW_AFTER)
    assert [permit.request for permit in _take_all(limiter, SLOW_AFTER)] == [quick]


def test_a_slow_job_that_becomes_quick_is_treated_as_such() -> None:
    limiter = Limiter(Limits(100, 2))
    (job,) = _requests(A)
    limiter.enqueue(job)
    (hanging,) = _take_all(limiter)
    limiter.mark_slow(SLOW_AFTER)
    limiter.release(hanging, 5)
    limiter.enqueue(rigs.again(job, after=1))
    (quick,) = _take_all(limiter, 5)
    limiter.release(quick, 5.1)
    _offer(limiter, [rigs.again(job, after=2), rigs.again(job, after=3)])
    assert len(_take_all(limiter, 6)) == 2


def test_an_aborted_transfer_does_not_prove_its_job_quick() -> None:
    limiter = Limiter(Limits(100, 2))
    (job,) = _requests(A)
    limiter.enqueue(job)
    (hanging,) = _take_all(limiter)
    limiter.mark_slow(SLOW_AFTER)
    limiter.release(hanging, 5)
    limiter.enqueue(rigs.again(job, after=1))
    (aborted,) = _take_all(limiter, 5)
    limiter.release(aborted, 5.1, ended=False)
    _offer(limiter, [rigs.again(job, after=2), rigs.again(job, after=3)])
    assert len(_take_all(limiter, 6)) == 1


def test_what_waits_for_a_host_that_hangs_does_not_count_as_behind() -> None:
    limiter = Limiter(Limits(10, 2))
    _offer(limiter, _requests(A, A, A, A, A))
    _take_all(limiter)
    assert limiter.behind() == 3
    limiter.mark_slow(SLOW_AFTER)
    _offer(limiter, _requests(B, B, B, B))
    _take_all(limiter)
    assert limiter.behind() == 2


def test_hosts_with_nothing_to_do_are_forgotten() -> None:
    limiter = Limiter(Limits(10, 10))
    _offer(limiter, _requests(A, B, C))
    for permit in _take_all(limiter):
        limiter.release(permit, 0.1)
    limiter.mark_slow(10)
    assert _take_all(limiter) == []
    assert not limiter._hosts
    assert not limiter._streams
    assert not limiter._of_workspaces
    assert not limiter._quick
    assert not limiter._young


@given(
    hosts=st.lists(st.tuples(st.sampled_from([A, B, C]), st.booleans()), max_size=30),
    steps=st.lists(st.sampled_from(["take", "release", "age"]), max_size=80),
    limits=st.builds(Limits, st.integers(1, 6), st.integers(1, 4)),
)
def test_limits_hold_and_nothing_is_lost_or_doubled(
    hosts: list[tuple[str, bool]], steps: list[str], limits: Limits
) -> None:
    limiter = Limiter(limits)
    jobs = {url: rigs.request_to(url) for url in (A, B, C)}
    offered = [
        _of_other(request) if is_other else request
        for number, (url, is_other) in enumerate(hosts)
        for request in [rigs.again(jobs[url], after=number)]
    ]
    _offer(limiter, offered)
    now, running, started = 0.0, list[Permit](), list[TransferRequest]()
    for step in steps + ["age", "take", "release"] * (len(offered) + 1):
        now += 0.3
        if step == "age":
            limiter.mark_slow(now)
        elif step == "release" and running:
            limiter.release(running.pop(0), now)
        elif step == "take" and (permit := limiter.acquire(now)):
            running.append(permit)
            started.append(permit.request)
        per_host = Counter(permit.request.template.origin for permit in running)
        assert len(running) <= limits.max_transfers
        assert all(count <= limits.max_per_host for count in per_host.values())
    assert sorted(started, key=lambda each: each.execution.id) == sorted(
        offered, key=lambda each: each.execution.id
    )

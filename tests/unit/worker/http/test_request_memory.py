"""How many bytes of large requests a worker holds."""

from uuid import UUID

import pytest

import specimens
from chronos_worker.exhaustion import Exhausted
from chronos_worker.http.request import RequestTemplate
from chronos_worker.http.request_memory import RequestMemory
from chronos_worker.http.request_template import template_of

ONE, OTHER = UUID(int=1), UUID(int=2)
#: Large, and counted twice.
SIZE = 10_000


def template(size: int = SIZE) -> RequestTemplate:
    url = "https://example.com"
    return template_of(specimens.job({"url": url, "body": "x" * (size - len(url) - 50)}))


def most(memory: RequestMemory, workspace_id: UUID) -> list[RequestTemplate]:
    """Hold as many requests as the workspace may."""
    held: list[RequestTemplate] = []
    while True:
        large = template()
        try:
            memory.hold(workspace_id, large)
        except Exhausted:
            return held
        held.append(large)


def test_a_workspace_leaves_memory_to_the_others_and_gives_all_of_it_back() -> None:
    memory = RequestMemory(16 * 2 * SIZE)
    first = most(memory, ONE)
    assert len(first) == 12
    second = most(memory, OTHER)
    assert 2 <= len(second) <= 3
    del first[:6], second
    assert len(most(memory, ONE)) == 6
    first.clear()
    assert (memory._free, memory._held) == (16 * 2 * SIZE, {})


def test_small_requests_are_not_counted() -> None:
    memory = RequestMemory(0)
    memory.hold(ONE, template(1000))
    with pytest.raises(Exhausted, match="memory"):
        memory.hold(ONE, template())

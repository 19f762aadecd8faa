"""A transfer engine that may reach the loopback, and targets there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import rigs
from chronos_common.setting_types import networks
from chronos_common.setting_types import ports as permitted
from chronos_worker.http.request import TransferRequest
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.limiter import Limits
from rigs import Rig
from targets import Target


@pytest.fixture
def start_target() -> Iterator[Callable[..., Target]]:
    """Start as many targets as a test needs."""
    with ExitStack() as stack:

        def start(*, tls: bool = False) -> Target:
            target = Target(tls=tls)
            target.start()
            stack.callback(target.close)
            return target

        yield start


@pytest.fixture
def target(start_target: Callable[..., Target]) -> Target:
    """Give a target that answers everything with 200."""
    return start_target()


@pytest.fixture
def start_rig() -> Iterator[Callable[..., Rig]]:
    """Start an engine with the limits, the networks and the lease check that a test needs."""
    with ExitStack() as stack:

        def start(
            max_transfers: int = 100,
            max_per_host: int = 50,
            may_start: Callable[[TransferRequest], bool] = lambda _: True,
            allow: str = "127.0.0.0/8",
            ports: str = "1-65535",
        ) -> Rig:
            limits = Limits(max_transfers, max_per_host)
            guard = EgressGuard(networks(allow), ports=permitted(ports))
            return stack.enter_context(rigs.running(guard, limits, may_start))

        yield start


@pytest.fixture
def rig(start_rig: Callable[..., Rig]) -> Rig:
    """Give an engine with plenty of permits."""
    return start_rig()

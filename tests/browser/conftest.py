"""A whole Chronos, and a browser in which its administrator has logged in."""

from collections.abc import Iterator

import pytest

from acceptance.up import Up, running
from browser.desk import Desk, Visit, opened_desk


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    # All people of all tests log in from one address.
    settings = {"CHRONOS_LOGIN_RATE_LIMIT": "1000 per minute"}
    folder = tmp_path_factory.mktemp("browser") / "data"
    with running(folder, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def desk(up: Up) -> Iterator[Desk]:
    # No longer than a module: elsewhere, other tests start browsers of their own.
    with opened_desk(up) as opened:
        yield opened


@pytest.fixture
def visit(desk: Desk) -> Iterator[Visit]:
    with desk.visit() as opened:
        yield opened

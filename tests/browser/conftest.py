"""A whole Chronos, and a browser in which its administrator has logged in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from acceptance.up import Up, running
from integration.api.browsers import browsing

#: Milliseconds for whatever takes a second, on a slow machine that does much else. Nothing that is
#: there at once waits for it.
PATIENT = 60_000
expect.set_options(timeout=PATIENT)


class Visit:
    """A page of a browser, with everything that went wrong in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.faults: list[str] = []
        page.set_default_timeout(PATIENT)
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._note_request)

    def _note_message(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.faults.append(f"a request to another origin: {request.url}")

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.address}{path}")
        return self.page

    def forgive(self, text: str) -> None:
        """Leave out faults that a test has caused on purpose."""
        self.faults = [each for each in self.faults if text not in each]

    def is_wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("browser") / "data") as started:
        yield started


@contextmanager
def visiting(up: Up, **options: Any) -> Iterator[Visit]:
    """Open a browser in which the administrator has logged in; nothing may go wrong in it."""
    with browsing(**options) as page:
        visit = Visit(page, up.address)
        account = json.loads((up.folder / "admin.json").read_text())
        visit.open("/")
        page.get_by_label("E-mail address").fill(account["email"])
        page.get_by_label("Password").fill(account["password"])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/ui/")
        yield visit
        assert visit.faults == []


@pytest.fixture
def visit(up: Up) -> Iterator[Visit]:
    with visiting(up) as opened:
        yield opened

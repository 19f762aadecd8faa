"""A browser in which people log in to a whole Chronos, each in a profile of their own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any, ClassVar, Self
from uuid import uuid4

from playwright.sync_api import Browser, BrowserContext, Page, expect

from acceptance.up import Up
from chronos_common.embedded.api_client import AdminAccount, Client, saved_account
from integration.api.browsers import launched

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


def log_in(visit: Visit, account: AdminAccount) -> None:
    """Log in by the form, from the first page."""
    visit.open("/")
    visit.page.get_by_label("E-mail address").fill(account.email)
    visit.page.get_by_label("Password").fill(account.password)
    visit.page.get_by_role("button", name="Log in").click()
    visit.page.wait_for_url("**/ui/")


def job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job that is not due soon, with ``changes``."""
    payload = {"url": "http://127.0.0.1:9/"}
    schedule = {"schedule_type": "interval", "interval_seconds": 86_400}
    return {"name": name, "payload": payload, **schedule, **changes}


class Desk:
    """One browser for all tests of a module. A person logs in once."""

    #: That of the module whose tests run now, if it has one.
    current: ClassVar[Self | None] = None

    def __init__(self, browser: Browser, up: Up) -> None:
        self.up = up
        self._browser = browser
        self._logins: dict[str, Any] = {}

    def register(self) -> AdminAccount:
        """Make an account, which has a workspace of its own."""
        account = AdminAccount(f"{uuid4()}@example.com", "a long enough password")
        self.client(account).send("POST", "/api/v1/auth/register", asdict(account))
        return account

    def create(self, account: AdminAccount, name: str, **changes: Any) -> Any:
        """Create a job by the API, and return the answer."""
        return self.client(account).send("POST", "/api/v1/jobs", job(name, **changes))

    def client(self, account: AdminAccount) -> Client:
        return Client(self.up.address, account)

    @contextmanager
    def visit(self, account: AdminAccount | None = None, **options: Any) -> Iterator[Visit]:
        """Open a page for somebody, the administrator at first; nothing may go wrong in it."""
        person = account or saved_account(self.up.folder)
        with self.profile(person, **options) as context:
            visit = Visit(context.new_page(), self.up.address)
            yield visit
            assert not visit.faults, visit.faults

    @contextmanager
    def profile(self, account: AdminAccount, **options: Any) -> Iterator[BrowserContext]:
        """Yield a profile in which somebody has logged in."""
        if account.email not in self._logins:
            first = self._browser.new_context()
            log_in(Visit(first.new_page(), self.up.address), account)
            self._logins[account.email] = first.storage_state()
            first.close()
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        context = self._browser.new_context(storage_state=self._logins[account.email], **options)
        context.set_default_timeout(PATIENT)
        try:
            yield context
        finally:
            context.close()

    def shared_workers(self) -> int:
        """Return how many shared workers there are, each with a stream of events."""
        found = self._browser.new_browser_cdp_session().send("Target.getTargets")
        return sum(each["type"] == "shared_worker" for each in found["targetInfos"])


@contextmanager
def opened_desk(up: Up, *arguments: str) -> Iterator[Desk]:
    """Start a browser, and keep it as the one of the module."""
    # Two at once are not possible in a process.
    with launched(*arguments) as browser:
        Desk.current = Desk(browser, up)
        try:
            yield Desk.current
        finally:
            # A test that failed must not leave a closed browser to the next one.
            Desk.current = None


@contextmanager
def visiting(up: Up, *, width: int = 1280, height: int = 800, **options: Any) -> Iterator[Visit]:
    """Open a page for the administrator, in the module's browser or in a new one."""
    viewport = {"width": width, "height": height}
    with ExitStack() as stack:
        desk = Desk.current or stack.enter_context(opened_desk(up))
        yield stack.enter_context(desk.visit(viewport=viewport, **options))

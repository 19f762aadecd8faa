"""A real browser that loads pages of the dashboard, and its own measurements."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import installation
from benchmarks.installation import Installation

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, StorageState

_CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT_MS = 60_000
_VIEWPORT: Any = {"width": 1280, "height": 800}

#: A phone on a slow network: a quarter of this processor, 150 ms, 1.6 Mbit/s down, 750 kbit/s up.
_SLOWER = 4
_SLOW_NETWORK = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 200_000,
    "uploadThroughput": 93_750,
}

# The browser's own observers, from the first byte of each page on.
_OBSERVE = """
window.seen = { lcp: 0, shift: 0, blocked: 0, paint: 0 };
const observe = (type, take, more) => new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) take(entry);
}).observe({ type, buffered: true, ...more });
observe("largest-contentful-paint", (entry) => { seen.lcp = entry.startTime; });
observe("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value; });
observe("longtask", (entry) => { seen.blocked += Math.max(entry.duration - 50, 0); });
observe("event", (entry) => { seen.paint = Math.max(seen.paint, entry.duration); },
        { durationThreshold: 16 });
"""

_FIGURES = """async () => {
  // Two frames, so that the observers have told what they saw.
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  const [page] = performance.getEntriesByType("navigation");
  const [first] = performance.getEntriesByName("first-contentful-paint");
  const files = performance.getEntriesByType("resource");
  return {
    ttfb_ms: page.responseStart - page.requestStart,
    fcp_ms: first.startTime,
    lcp_ms: seen.lcp,
    shift: seen.shift,
    blocked_ms: seen.blocked,
    html_kb: page.encodedBodySize / 1000,
    blocking: 1 + files.filter((each) => each.renderBlockingStatus === "blocking").length,
    requests: 1 + files.filter((each) => !each.name.startsWith("data:")).length,
    foreign: files.filter((each) => !each.name.startsWith(location.origin)
                                    && !each.name.startsWith("data:")).length,
    nodes: document.querySelectorAll("*").length,
    rows: document.querySelectorAll("tr[data-key]").length,
    js_kb: files.filter((each) => each.name.endsWith(".js"))
                .reduce((sum, each) => sum + each.encodedBodySize, 0) / 1000,
    css_kb: files.filter((each) => each.name.endsWith(".css"))
                 .reduce((sum, each) => sum + each.encodedBodySize, 0) / 1000,
  };
}"""


class BrowserMissing(click.ClickException):
    """Pages cannot be measured here. The message names the remedy."""


def check() -> None:
    """Raise :class:`BrowserMissing`, with the remedy, if pages cannot be measured here."""
    if importlib.util.find_spec("playwright") is None:
        raise BrowserMissing(
            "Playwright is missing, which the scenarios of pages need. It comes with the tests: "
            "pip install -e '.[dev]'"
        )
    if not _CHROMIUM.exists():
        raise BrowserMissing(
            f"There is no browser at {_CHROMIUM}, which the scenarios of pages need: "
            "apt-get install chromium"
        )


class Chromium:
    """A browser in which the installation's owner is logged in. Profiles begin without cache."""

    def __init__(self, browser: "Browser", chronos: Installation) -> None:
        self._browser = browser
        self.address = chronos.api_url
        self._login = _log_in(browser, chronos.api_url)

    @contextmanager
    def visit(self) -> Iterator["Page"]:
        """Yield an empty page of a new profile, with the observers in it."""
        with self.profile() as context:
            yield context.new_page()

    @contextmanager
    def profile(self) -> Iterator["BrowserContext"]:
        """Yield a new profile with the login and without a cache."""
        context = self._browser.new_context(storage_state=self._login, viewport=_VIEWPORT)
        context.set_default_timeout(_TIMEOUT_MS)
        context.add_init_script(_OBSERVE)
        try:
            yield context
        finally:
            context.close()

    def shared_workers(self) -> int:
        """Return how many shared workers there are. Each holds one stream of events."""
        found = self._browser.new_browser_cdp_session().send("Target.getTargets")
        return sum(each["type"] == "shared_worker" for each in found["targetInfos"])


@contextmanager
def running(chronos: Installation) -> Iterator[Chromium]:
    """Run a browser for the block. Raise :class:`BrowserMissing` if there is none."""
    check()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only these scenarios need it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield Chromium(browser, chronos)
        finally:
            browser.close()


def slow_down(page: "Page") -> None:
    """Let a page have a quarter of the processor and a slow network."""
    session = session_of(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWER})
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", dict(_SLOW_NETWORK))


def session_of(page: "Page") -> "CDPSession":
    """Return a connection to the browser's own tools for a page."""
    return page.context.new_cdp_session(page)


def figures(page: "Page") -> dict[str, float]:
    """Return what the browser measured while it loaded the page."""
    return dict(page.evaluate(_FIGURES))


def click_to_paint_ms(page: "Page", selector: str) -> float:
    """Click, and return how long the next frame took. Below 16 ms the browser tells nothing: 0."""
    page.evaluate("seen.paint = 0")
    page.locator(selector).first.click()
    page.evaluate(
        "async () => { for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame); }"
    )
    return float(page.evaluate("seen.paint"))


def _log_in(browser: "Browser", address: str) -> "StorageState":
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/ui/login")
    page.get_by_label("E-mail address").fill(installation.EMAIL)
    page.get_by_label("Password").fill(installation.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/ui/")
    state = context.storage_state()
    context.close()
    return state

"""The rate beside eight open tabs of the dashboard, and what a tab costs that follows it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmarks import chromium, trial
from benchmarks.bench import Bench
from benchmarks.chromium import Chromium
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.scenarios import ladder

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

NAME = "tabs"
WITHOUT, BESIDE = "without a browser", "beside eight tabs"

#: The growth of a tab's memory is judged after so many seconds.
LONG = 600

_PATHS = ("", "jobs", "executions", "jobs?sort=next_run_at", "", "jobs", "executions", "failures")
#: Before the window ends, so that it is over when the trial looks at the rows.
_EARLIER_SECONDS = 2
_BYTES_IN_MB = 1_000_000

_ASKED = """performance.getEntriesByType("resource").filter(
    (each) => each.initiatorType === "fetch" && each.name.includes("/ui/")).length"""


def run(bench: Bench) -> Iterator[Result]:
    """Run the rate without a browser, then beside the tabs."""
    crowds, timing = [Crowd(count=bench.rate())], bench.timing
    with installation(bench.base, workers=ladder.workers()) as chronos:
        yield Result(NAME, WITHOUT, trial.run(chronos, crowds, timing).figures)
    with (
        installation(bench.base, workers=ladder.workers()) as chronos,
        chromium.running(chronos) as browser,
        browser.profile() as profile,
    ):
        pages = [profile.new_page() for _ in _PATHS]
        for page, path in zip(pages, _PATHS, strict=True):
            page.goto(f"{browser.address}/ui/{path}")
        costs: dict[str, float] = {}
        seconds = timing.window - _EARLIER_SECONDS
        seen = trial.run(
            chronos, crowds, timing, during=lambda: costs.update(_watch(browser, pages, seconds))
        )
        yield Result(NAME, BESIDE, seen.figures | costs)


def _watch(browser: Chromium, pages: Sequence["Page"], seconds: int) -> dict[str, float]:
    """Return what the tabs cost in so many seconds: the busiest, and the one that grew most."""
    tools = [chromium.session_of(page) for page in pages]
    for each in tools:
        each.send("Performance.enable")
    before = [(_busy_seconds(each), _heap_mb(each)) for each in tools]
    asked = [page.evaluate(_ASKED) for page in pages]
    pages[0].wait_for_timeout(1000 * seconds)
    after = [(_busy_seconds(each), _heap_mb(each)) for each in tools]
    requests = [page.evaluate(_ASKED) - was for page, was in zip(pages, asked, strict=True)]
    both = list(zip(before, after, strict=True))
    return {
        "watched_s": seconds,
        "busy_percent": max(100 * (now[0] - was[0]) / seconds for was, now in both),
        "heap_growth_mb": max(now[1] - was[1] for was, now in both),
        "refreshes_per_tab": max(requests),
        "streams": browser.shared_workers(),
    }


def _busy_seconds(tools: "CDPSession") -> float:
    metrics = tools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def _heap_mb(tools: "CDPSession") -> float:
    tools.send("HeapProfiler.collectGarbage")
    return float(tools.send("Runtime.getHeapUsage")["usedSize"]) / _BYTES_IN_MB

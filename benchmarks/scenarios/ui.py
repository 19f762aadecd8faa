"""The dashboard in a browser, among 100,000 jobs: each page as it is, and on a slow device."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from sqlalchemy import text

from benchmarks import chromium, large_database
from benchmarks.bench import Bench
from benchmarks.chromium import Chromium
from benchmarks.installation import Installation, installation
from benchmarks.results import Result
from chronos_api.ui import assets
from chronos_common import clock

NAME = "ui"
CODE = "all scripts, compressed"
#: A part of the names of cases: 4 times less processor, and a slow network.
SLOWLY = "slow device"

#: Loads of each page; their medians count.
_LOADS = 5
#: Scripts settle, and live parts do not come yet.
_SETTLE_MS = 500


@dataclass(frozen=True)
class Limit:
    """The most that a figure of a page may be. ``slowly`` limits the loads of a slow device."""

    what: str
    figure: str
    most: float
    unit: str
    slowly: bool = False
    pages: frozenset[str] = frozenset()

    def concerns(self, result: Result) -> bool:
        """Return whether the limit is one of this case."""
        is_slow = result.case.endswith(SLOWLY)
        is_of_page = not self.pages or result.case in self.pages
        return self.figure in result.figures and self.slowly is is_slow and is_of_page


_OVERVIEW = "overview"
_LISTS = frozenset({"jobs", "jobs, the next page", "executions"})
_SEARCHES = frozenset({"jobs, a search", "jobs, a search without a hit"})

LIMITS = (
    Limit("first paint", "fcp_ms", 200, " ms"),
    Limit("largest paint", "lcp_ms", 200, " ms"),
    Limit("first paint, slow device", "fcp_ms", 700, " ms", slowly=True),
    Limit("largest paint, slow device", "lcp_ms", 700, " ms", slowly=True),
    Limit("first byte, overview", "ttfb_ms", 80, " ms", pages=frozenset({_OVERVIEW})),
    Limit("first byte, lists", "ttfb_ms", 60, " ms", pages=_LISTS),
    Limit("first byte, searches", "ttfb_ms", 120, " ms", pages=_SEARCHES),
    Limit("HTML, compressed", "html_kb", 10, " kB"),
    Limit("scripts of a page, compressed", "js_kb", 25, " kB"),
    Limit("all scripts, compressed", "all_js_kb", 45, " kB"),
    Limit("style sheet, compressed", "css_kb", 14, " kB"),
    Limit("requests that the first paint waits for", "blocking", 4, ""),
    Limit("requests to other origins", "foreign", 0, ""),
    Limit("layout shift", "shift", 0.02, ""),
    Limit("blocking time, slow device", "blocked_ms", 100, " ms", slowly=True),
    Limit("from a click to the next paint", "click_ms", 100, " ms"),
    Limit("elements", "nodes", 1800, ""),
)


def run(bench: Bench) -> Iterator[Result]:
    """Fill a database, and load each page some times, without a cache."""
    with installation(bench.base) as chronos:
        now = clock.now()
        large_database.fill(chronos.engine, chronos.workspace_id, bench.options.ui, now=now)
        yield Result(NAME, CODE, {"all_js_kb": _all_js_kb()})
        with chromium.running(chronos) as browser:
            for name, path in _pages(chronos).items():
                yield Result(NAME, name, _load(browser, path, slowly=False))
                yield Result(NAME, f"{name}, {SLOWLY}", _load(browser, path, slowly=True))


def _pages(chronos: Installation) -> Mapping[str, str]:
    with chronos.engine.connect() as connection:
        names = {"workspace": chronos.workspace_id}
        job, execution = connection.execute(_LATEST, names).one()
    return {
        _OVERVIEW: "",
        "overview, a week": "?period=7d",
        "jobs": "jobs?limit=50",
        "jobs, the next page": "jobs?limit=50&page=2",
        "jobs, a search": "jobs?search=invoices",
        "jobs, a search without a hit": "jobs?search=nothing+like+it",
        "a job": f"jobs/{job}",
        "executions": "executions",
        "an execution": f"executions/{execution}",
        "failures": "failures",
        "calendar": "calendar",
    }


_LATEST = text("""
    SELECT job_id, id FROM executions
     WHERE workspace_id = :workspace AND status = 'succeeded' ORDER BY id DESC LIMIT 1""")


def _load(browser: Chromium, path: str, *, slowly: bool) -> dict[str, float]:
    """Load a page some times, and return the median of each figure."""
    seen = [_load_once(browser, path, slowly=slowly) for _ in range(_LOADS)]
    return {name: median(each[name] for each in seen) for name in seen[0]}


def _load_once(browser: Chromium, path: str, *, slowly: bool) -> dict[str, float]:
    with browser.visit() as page:
        if slowly:
            chromium.slow_down(page)
        answer = page.goto(f"{browser.address}/ui/{path}")
        page.wait_for_timeout(_SETTLE_MS)
        figures = chromium.figures(page)
        if not slowly:
            figures["failures"] = not (answer and answer.ok)
            figures["click_ms"] = chromium.click_to_paint_ms(page, "details.menu summary")
        return figures


def _all_js_kb() -> float:
    found = assets.all_assets().items()
    return sum(len(each.compressed) for name, each in found if name.endswith(".js")) / 1000

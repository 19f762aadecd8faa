"""The figures as tables, for a terminal and for a page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import checks
from benchmarks.results import Result, faults_of
from benchmarks.scenarios import (
    api,
    apscheduler,
    burst,
    ceilings,
    celery_beat,
    celery_classic,
    fairness,
    large,
    memory,
    rest,
    retries,
    tabs,
    ui,
)

_CONTROLS = (ceilings.NAME, celery_classic.NAME, celery_beat.NAME, apscheduler.NAME)


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns and the cells."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables_of(results: Sequence[Result]) -> list[Table]:
    """Return all tables that have rows; ``results`` are joined over repeats."""
    others = [_others(results, name, columns) for name, columns in _OTHERS.items()]
    made = [_drift(results), _costs(results), _memory(results), *others]
    return main_tables_of(results) + [table for table in made if table.rows]


def main_tables_of(results: Sequence[Result]) -> list[Table]:
    """Return the tables to read first, if they have rows: targets and comparisons."""
    made = [_targets(results), _throughput(results)]
    return [table for table in made if table.rows]


def _targets(results: Sequence[Result]) -> Table:
    rows = [
        (
            each.what,
            each.target,
            each.reached,
            "met" if each.met else "MISSED",
            each.explanation,
        )
        for each in checks.check(results)
    ]
    return Table("Targets", ("what", "target", "reached", "", "what explains a miss"), rows)


def _throughput(results: Sequence[Result]) -> Table:
    """Compare the capacity with the rates of others on the same machine."""
    capacity = checks.capacity_of(results)
    rows = [("Chronos, capacity", f"{capacity:,.0f}", "", "1")] if capacity else []
    for result in results:
        if result.scenario in _CONTROLS:
            rate = result.figures["done_per_s"]
            due = result.figures.get("due_per_s")
            part = f"{rate / due:.1%}" if due else ""
            ratio = f"{capacity / rate:,.2f}" if capacity and rate else ""
            rows.append((f"{result.scenario}: {result.case}", f"{rate:,.0f}", part, ratio))
    columns = ("what", "done/s", "done of what was due", "Chronos is so many times that")
    return Table("Beside others, and the machine's ceilings", columns, rows)


def _drift(results: Sequence[Result]) -> Table:
    columns = {
        "due/s": _figure("due_per_s", "{:,.0f}"),
        "done/s": _figure("done_per_s", "{:,.0f}"),
        "done": _figure("done_ratio", "{:.1%}"),
        "p50 ms": _figure("drift_p50_ms", "{:,.1f}"),
        "p99 ms": _figure("drift_p99_ms", "{:,.1f}"),
        "max ms": _figure("drift_max_ms", "{:,.1f}"),
        "faults": lambda result: f"{faults_of(result)}",
    }
    return _table("Drift: from the scheduled instant to the target", results, columns, _is_trial)


def _costs(results: Sequence[Result]) -> Table:
    parts = ("scheduler", "worker", "api", "PostgreSQL", "Valkey", "target")
    columns = {
        **{part: _figure(f"cpu_{part}_s_per_1000", "{:.3f}") for part in parts},
        "others, cores": _figure("others_cores", "{:.2f}"),
        "stolen, cores": _figure("stolen_cores", "{:.2f}"),
        "WAL bytes": _figure("wal_bytes_per_execution", "{:,.0f}"),
        "rows": _figure("rows_written_per_execution", "{:.2f}"),
        "heap-only": _figure("hot_update_ratio", "{:.0%}"),
    }
    heading = "Costs: CPU seconds per 1,000 executions; WAL and rows written per execution"
    return _table(heading, results, columns, _is_trial)


def _memory(results: Sequence[Result]) -> Table:
    parts = ("scheduler", "worker", "api", "PostgreSQL", "Valkey", "target")
    columns = {part: _figure(f"peak_{part}_mib", "{:,.0f}") for part in parts}
    return _table("Peak memory, MiB", results, columns, _is_trial)


_OTHERS = {
    burst.NAME: {
        "first ms": "first_ms",
        "half ms": "half_ms",
        "last ms": "last_ms",
        "started/s": "started_per_s",
    },
    fairness.NAME: {
        "others p50 ms": "others_p50_ms",
        "others p99 ms": "others_p99_ms",
        "others max ms": "others_max_ms",
        "flood/s": "started_per_s",
    },
    retries.NAME: {
        "retries/s": "retries_per_s",
        "late by p50 ms": "retry_drift_p50_ms",
        "late by p99 ms": "retry_drift_p99_ms",
    },
    api.NAME: {
        f"{kind} {name}": f"{kind}_{name}_ms"
        for kind in ("create", "read", "list")
        for name in ("p50", "p99")
    }
    | {"failures": "failures", "stolen, cores": "stolen_cores"},
    large.NAME: {
        "first ms": "first_ms",
        "ms": "answer_ms",
        "s": "seconds",
        "MiB": "database_mib",
        "bytes per job": "bytes_per_job",
        "bytes per execution": "bytes_per_execution",
    },
    rest.NAME: {
        "processes": "processes",
        "MiB": "pss_mib",
        "peak MiB": "peak_mib",
        "% of a core": "cpu_percent",
        "wake-ups/s": "wakeups_per_s",
        "s to the first line": "seconds",
        "CPU s": "cpu_s",
    },
    ui.NAME: {
        "first byte ms": "ttfb_ms",
        "first paint ms": "fcp_ms",
        "largest paint ms": "lcp_ms",
        "blocked ms": "blocked_ms",
        "click ms": "click_ms",
        "HTML kB": "html_kb",
        "JS kB": "js_kb",
        "requests": "requests",
        "elements": "nodes",
        "rows": "rows",
    },
    tabs.NAME: {
        "done/s": "done_per_s",
        "busy %": "busy_percent",
        "memory growth MB": "heap_growth_mb",
        "refreshes of a tab": "refreshes_per_tab",
        "streams": "streams",
    },
    memory.NAME: {
        f"{name} MiB {when}": f"{name}_mib_{key}"
        for name in ("scheduler", "worker", "api")
        for when, key in (("settled", "settled"), ("at the end", "at_end"))
    },
}

_HEADINGS = {
    burst.NAME: "All at once",
    fairness.NAME: "Other workspaces beside a flood of one",
    retries.NAME: "Retries: later than their delay",
    api.NAME: "API: milliseconds to the answer",
    large.NAME: "A large database: the first answer and the median of five, and upkeep",
    memory.NAME: "Growth",
    ui.NAME: "Pages in a browser: medians of five loads without a cache",
    tabs.NAME: "Eight open tabs beside the load",
    rest.NAME: "At rest: chronos up with nothing to do, and its help",
}


def _others(results: Sequence[Result], name: str, keys: dict[str, str]) -> Table:
    columns = {
        heading: _figure(key, "{:.2f}" if key.endswith("_cores") else "{:,.1f}")
        for heading, key in keys.items()
    }
    return _table(_HEADINGS[name], results, columns, lambda result: result.scenario == name)


_Cell = Callable[[Result], str]


def _table(
    heading: str,
    results: Sequence[Result],
    columns: dict[str, _Cell],
    wanted: Callable[[Result], bool],
) -> Table:
    rows = [
        (f"{result.scenario}: {result.case}", *(cell(result) for cell in columns.values()))
        for result in results
        if wanted(result)
    ]
    return Table(heading, ("case", *columns), rows)


def _is_trial(result: Result) -> bool:
    return "drift_p99_ms" in result.figures


def _figure(name: str, form: str) -> _Cell:
    def cell(result: Result) -> str:
        value = result.figures.get(name)
        return "" if value is None else form.format(value)

    return cell

"""``python -m benchmarks``."""

import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from benchmarks import bench, chromium, installation, machine, report
from benchmarks.bench import Bench, Options
from benchmarks.large_database import Size
from benchmarks.report import Report
from benchmarks.results import Result, faults_of
from benchmarks.scenarios import IN_BROWSER, ONCE, QUICK, SCENARIOS, SUMMARIES, Scenario
from benchmarks.trial import Timing

_QUICK = Options(
    Timing(warmup=3, window=8),
    repeats=1,
    api_jobs=1000,
    api_rate=20,
    rest_seconds=3,
    flood=20_000,
    large=Size(jobs=2000, executions=30_000),
    ui=Size(jobs=2000, executions=30_000),
    nginx_wanted=False,
)
#: Width of the tables without a terminal.
_WIDTH = 150

_EPILOG = "\b\nScenarios, in the order in which they run:\n" + "\n".join(
    f"  {name:15} {SUMMARIES[name]}" for name in SCENARIOS
)


@click.command(
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.argument("scenarios", nargs=-1, type=click.Choice(list(SCENARIOS)), metavar="[SCENARIO]...")
@click.option("--quick", is_flag=True, help="A smoke test for faults, not for speed; small.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option("--warmup", type=click.IntRange(1), default=10, show_default=True, help="Seconds.")
@click.option("--window", type=click.IntRange(5), default=30, show_default=True, help="Seconds.")
@click.option(
    "--ladder",
    default=",".join(map(str, bench.LADDER)),
    show_default=True,
    help="The numbers of jobs of the scenario 'ladder'.",
)
@click.option(
    "--rate",
    type=click.IntRange(1),
    help="Jobs a second where a scenario needs one; else what the ladder held.",
)
@click.option("--memory-seconds", type=click.IntRange(60), default=600, show_default=True)
@click.option("--idle-jobs", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option(
    "--executions",
    type=click.IntRange(1000),
    default=10_000_000,
    show_default=True,
    help="Of the scenario 'large', with a tenth as many jobs.",
)
@click.option(
    "--ui-jobs",
    type=click.IntRange(100),
    default=100_000,
    show_default=True,
    help="Of the scenario 'ui', with ten times as many executions.",
)
@click.option(
    "--target",
    type=click.Choice(["auto", "own"]),
    default="auto",
    show_default=True,
    help="auto is nginx if there is one, else the referee server of the benchmarks.",
)
@click.option("--output", type=click.Path(path_type=Path), help="A JSON file for all figures.")
@click.option("--markdown", type=click.Path(path_type=Path), help="A page for the tables.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="Run nothing; show the figures of such a JSON file.",
)
def main(
    *,
    scenarios: Sequence[str],
    quick: bool,
    output: Path | None,
    markdown: Path | None,
    source: Path | None,
    **chosen: object,
) -> None:
    """Measure Chronos from outside: at its target, in PostgreSQL's rows, in the kernel's figures.

    Runs all scenarios, or those named. Exits with 1 if anything was lost, doubled or left
    unrecorded. Targets that were missed are marked in the tables.
    """
    # So that servers are stopped and folders removed, as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    if source:
        found = report.read(source)
    else:
        options = _QUICK if quick else _options(chosen)
        named = {n: SCENARIOS[n] for n in SCENARIOS if n in scenarios}
        picked = named or (QUICK if quick else SCENARIOS)
        if IN_BROWSER & picked.keys():
            chromium.check()
        found = _measure(options, picked, console, output)
    found.show(console)
    if output:
        found.save(output)
    if markdown:
        found.write_markdown(markdown)
    sys.exit(any(map(_is_faulty, found.joined)))


def _options(chosen: Mapping[str, object]) -> Options:
    ladder = tuple(int(text) for text in str(chosen["ladder"]).split(","))
    rate = chosen["rate"]
    executions = int(str(chosen["executions"]))
    ui_jobs = int(str(chosen["ui_jobs"]))
    return Options(
        timing=Timing(int(str(chosen["warmup"])), int(str(chosen["window"]))),
        repeats=int(str(chosen["repeats"])),
        ladder=ladder,
        rate=rate if isinstance(rate, int) else None,
        memory_seconds=int(str(chosen["memory_seconds"])),
        idle_jobs=int(str(chosen["idle_jobs"])),
        large=Size(executions // 10, executions),
        ui=Size(ui_jobs, 10 * ui_jobs),
        nginx_wanted=chosen["target"] == "auto",
    )


def _measure(
    options: Options, picked: Mapping[str, Scenario], console: Console, output: Path | None
) -> Report:
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - started:6.0f} s  {text}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="chronos-benchmarks-") as folder:
        Path(folder).chmod(0o711)  # as root, PostgreSQL runs as another user
        with installation.base(Path(folder) / "data", nginx_wanted=options.nginx_wanted) as base:
            found = Report(machine.describe(base), _shown(options))
            run = Bench(base, options, found.results)
            for repeat in range(1, options.repeats + 1):
                for name, scenario in picked.items():
                    # These come last, because they use results of the others.
                    if name not in ONCE or repeat == options.repeats:
                        say(f"{name}, repeat {repeat} of {options.repeats}")
                        _run(run, scenario, found, output, console)
    return found


def _run(
    run: Bench, scenario: Scenario, found: Report, output: Path | None, console: Console
) -> None:
    for result in scenario(run):
        found.results.append(result)
        figures = result.figures
        shown = [f"{n} {figures[n]:,.1f}" for n in _SHOWN if n in figures]
        faults = f", FAULTS {faults_of(result)}" if faults_of(result) else ""
        console.print(f"          {result.case}: {', '.join(shown)}{faults}", highlight=False)
        if output:
            found.save(output)


_SHOWN = (
    "done_per_s",
    "drift_p50_ms",
    "drift_p99_ms",
    "last_ms",
    "capacity_per_s",
    "create_p99_ms",
    "read_p99_ms",
    "list_p99_ms",
    "first_ms",
    "answer_ms",
    "seconds",
    "bytes_per_execution",
    "pss_mib",
    "peak_mib",
    "cpu_percent",
    "wakeups_per_s",
    "ttfb_ms",
    "lcp_ms",
    "html_kb",
    "busy_percent",
)


def _shown(options: Options) -> dict[str, object]:
    return {
        "warm-up": f"{options.timing.warmup} s",
        "window": f"{options.timing.window} s",
        "repeats": options.repeats,
        "ladder": " ".join(map(str, options.ladder)),
        "rate": options.rate or "what the ladder held",
    }


def _is_faulty(result: Result) -> bool:
    return faults_of(result) > 0 or result.figures.get("failures", 0) > 0


if __name__ == "__main__":
    main()

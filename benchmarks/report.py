"""The results of a run: as JSON, on the terminal, and as a page."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import checks
from benchmarks.results import Result, medians
from benchmarks.tables import Table, main_tables_of, tables_of

#: A page with these lines gets a summary between them.
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass(frozen=True)
class Report:
    """All results of a run, repeat by repeat."""

    machine: Mapping[str, str]
    options: Mapping[str, object]
    results: list[Result] = field(default_factory=list)

    @property
    def joined(self) -> list[Result]:
        """The medians over the repeats."""
        return medians(self.results)

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        found = {
            "machine": dict(self.machine),
            "options": dict(self.options),
            "targets": [asdict(each) for each in checks.check(self.joined)],
            "medians": [_as_json(each) for each in self.joined],
            "results": [_as_json(each) for each in self.results],
        }
        path.write_text(json.dumps(found, indent=1) + "\n")

    def show(self, console: Console) -> None:
        """Print the tables."""
        for name, text in self.machine.items():
            console.print(f"{name}: {text}", highlight=False, markup=False)
        for table in tables_of(self.joined):
            console.print(_rich(table))
        for name, text in _notes(self.joined).items():
            console.print(f"\n{name}\n{text}", highlight=False, markup=False)

    def as_markdown(self) -> str:
        """Return the machine, all tables, profiles and notes."""
        parts = ["\n".join(f"- {fact}" for fact in self._facts())]
        parts += [_markdown(table) for table in tables_of(self.joined)]
        parts += [f"### {name}\n\n{text}" for name, text in _notes(self.joined).items()]
        return "\n\n".join(parts) + "\n"

    def as_summary(self) -> str:
        """Return the machine and the main tables, as Markdown."""
        parts = ["; ".join(self._facts()) + "."]
        parts += [_markdown(table) for table in main_tables_of(self.joined)]
        return "\n\n".join(parts) + "\n"

    def _facts(self) -> list[str]:
        options = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return [*(f"{name}: {text}" for name, text in self.machine.items()), f"Options: {options}"]

    def write_markdown(self, path: Path) -> None:
        """Put a summary between the marks of a page, or write a page of everything."""
        text = path.read_text() if path.exists() else ""
        if BEGIN in text and END in text:
            before, _, rest = text.partition(BEGIN)
            after = rest.partition(END)[2]
            path.write_text(f"{before}{BEGIN}\n\n{self.as_summary()}\n{END}{after}")
        else:
            path.write_text(self.as_markdown())


def read(path: Path) -> Report:
    """Return the results that were saved as JSON."""
    found = json.loads(path.read_text())
    results = [_from_json(each) for each in found["results"]]
    return Report(found["machine"], found["options"], results)


def _as_json(result: Result) -> dict[str, object]:
    """Write infinite figures as null, which JSON has."""
    figures = {name: v if math.isfinite(v) else None for name, v in result.figures.items()}
    return asdict(result) | {"figures": figures}


def _from_json(saved: dict[str, Any]) -> Result:
    figures = {name: math.inf if v is None else v for name, v in saved["figures"].items()}
    return Result(**saved | {"figures": figures})


def _notes(results: Sequence[Result]) -> dict[str, str]:
    return {
        f"{result.scenario}, {result.case}: {name}": text
        for result in results
        for name, text in result.notes.items()
    }


def _rich(table: Table) -> RichTable:
    made = RichTable(title=table.heading, title_justify="left")
    for index, name in enumerate(table.columns):
        made.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in table.rows:
        made.add_row(*row)
    return made


def _markdown(table: Table) -> str:
    lines = [
        f"### {table.heading}",
        "",
        f"| {' | '.join(table.columns)} |",
        f"|---|{'---:|' * (len(table.columns) - 1)}",
        *(f"| {' | '.join(row)} |" for row in table.rows),
    ]
    return "\n".join(lines)

"""The data of a command on standard output: a table for people, or a form for programs."""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal, Protocol

import click

from chronos_client.commands.command import OUTPUT, CommandFailed, Exit, say, visible

_COLOURS = {
    "active": "green",
    "succeeded": "green",
    "created": "green",
    "failed": "red",
    "error": "red",
    "warning": "yellow",
    "retrying": "yellow",
    "paused": "yellow",
    "running": "cyan",
    "queued": "cyan",
    "skipped": "magenta",
    "shadow": "magenta",
    "cancelled": "magenta",
}
#: Durations from here on are shown in seconds.
_LONG_MILLISECONDS = 10_000
#: Blanks at the end of a line, which may stand before the end of a colour.
_LAST_BLANKS = re.compile(r" +((?:\x1b\[[\d;]*m)*) *$")
#: The width of a table that no terminal shows: that of its longest cell.
_UNBOUNDED = 10_000


class Documented(Protocol):
    """Something that the server answered, with its JSON document."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The document."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, for terminals of ``width`` columns or more, but less than ``below``."""

    heading: str
    value: Callable[[Any], Any]
    width: int = 0
    below: int = sys.maxsize
    #: Cells with more text than fits are cut, or none is.
    is_flexible: bool = False
    justify: Literal["left", "right"] = "left"


def show_list(
    items: Iterable[Documented], columns: Sequence[Column], *, name: Callable[[Any], str]
) -> int:
    """Write a list. Return how many items it has."""
    match _form():
        case "json":
            documents = [each.document for each in items]
            click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
            return len(documents)
        case "yaml":
            documents = [each.document for each in items]
            click.echo(as_yaml(documents), nl=False)
            return len(documents)
        case "csv":
            return _write_csv(each.document for each in items)
        case "name":
            names = [name(each) for each in items]
            click.echo("".join(f"{each}\n" for each in names), nl=False)
            return len(names)
        case _:
            rows = list(items)
            if rows:
                _write_table(rows, columns)
            return len(rows)


def show_some(
    items: Iterator[Documented],
    limit: int | None,
    columns: Sequence[Column],
    *,
    name: Callable[[Any], str],
    none: str,
) -> None:
    """Write the first items of a list, and say on standard error if there are more or none."""
    shown = show_list(islice(items, limit), columns, name=name)
    if not shown:
        say(none)
    elif limit is not None and next(items, None) is not None:
        say(f"There are more than these {shown:,}. --limit shows more.")


def show_one(item: Documented, fields: Sequence[Column], *, name: Callable[[Any], str]) -> None:
    """Write one object: its fields below each other for people."""
    match _form():
        case "json":
            click.echo(json.dumps(item.document, indent=2, ensure_ascii=False))
        case "yaml":
            click.echo(as_yaml(item.document), nl=False)
        case "csv":
            _write_csv([item.document])
        case "name":
            click.echo(name(item))
        case _:
            _write_fields(item, fields)


def as_yaml(document: Any) -> str:
    """Return a document as YAML. Raises :class:`CommandFailed` if PyYAML is missing."""
    try:
        import yaml  # noqa: PLC0415 - an extra of the light distribution
    except ImportError as error:
        raise CommandFailed(
            "YAML needs PyYAML. Run: pip install 'chronos-client[yaml]'", Exit.USAGE
        ) from error
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


def moment(at: datetime | None) -> str:
    """Return an instant on this machine's clock, for people."""
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(milliseconds: int | None) -> str:
    """Return a duration for people."""
    if milliseconds is None:
        return "-"
    return (
        f"{milliseconds} ms"
        if milliseconds < _LONG_MILLISECONDS
        else f"{milliseconds / 1000:,.1f} s"
    )


def is_for_people() -> bool:
    """Return whether the output is a table, and not data for a program."""
    return _form() == "table"


def _form() -> str:
    form: str = click.get_current_context().meta.get(OUTPUT, "table")
    return form


def _write_csv(documents: Iterable[Mapping[str, Any]]) -> int:
    """Write a line for each document. Members that are lists or documents become JSON."""
    rows = list(documents)
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _csv_cell(value) for name, value in row.items()})
    return len(rows)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    # A spreadsheet would run a text that begins like a formula.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _write_table(rows: Sequence[Any], columns: Sequence[Column]) -> None:
    from rich.table import Table  # noqa: PLC0415 - programs and --help need no tables

    console = _console()
    shown = [each for each in columns if each.width <= console.width < each.below]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in shown:
        table.add_column(
            column.heading,
            justify=column.justify,
            no_wrap=not column.is_flexible,  # those that may wrap are narrowed first
        )
    for row in rows:
        table.add_row(*(_text(_cell(column.value(row))) for column in shown))
    _print(console, table)


def _write_fields(item: Any, fields: Sequence[Column]) -> None:
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for each in fields:
        cell = _cell(each.value(item))
        table.add_row(each.heading, Text(cell, style=_COLOURS.get(cell, "")))
    _print(_console(), table)


def _print(console: Any, table: Any) -> None:
    """Write a table without the blanks at the ends of its lines."""
    with console.capture() as captured:
        console.print(table)
    lines = (_LAST_BLANKS.sub(r"\1", line) for line in captured.get().splitlines())
    click.echo("".join(f"{line}\n" for line in lines), nl=False)


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(
        width=None if sys.stdout.isatty() else _UNBOUNDED,
        soft_wrap=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(cell: str) -> Any:
    """Return a cell that is cut, and not wrapped, where it does not fit."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(cell, style=_COLOURS.get(cell, ""), no_wrap=True, overflow="ellipsis")


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    return "-" if value is None or value == "" else visible(str(value))

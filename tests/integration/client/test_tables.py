"""Tables as a person sees them: in terminals of two widths, with and without colours."""

import os
import pty
import re
import subprocess
import sys

import pytest

TABLE = """
import click
from dataclasses import dataclass
from chronos_client.commands.command import ClientCommand
from chronos_client.commands.output import Column, show_list

@dataclass
class Row:
    name: str
    status: str
    note: str
    document: dict

rows = [Row("A job with quite a long name, number " + "9" * 30, "failed", "n" * 60, {}),
        Row("日本", "active", "-", {})]
columns = (Column("NAME", lambda row: row.name, is_flexible=True),
           Column("STATUS", lambda row: row.status),
           Column("NOTE", lambda row: row.note, width=100))

@click.command(cls=ClientCommand)
def show():
    show_list(rows, columns, name=lambda row: row.name)

show()
"""
RED = "\x1b[31m"


def shown(columns: int, **environment: str) -> str:
    """Return what the program writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    inherited = {"PATH": os.defpath, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [sys.executable, "-c", TABLE],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=inherited | environment,
    ) as process:
        os.close(theirs)
        text = b""
        while part := _read(ours):
            text += part
        assert process.wait() == 0, process.stderr and process.stderr.read()
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_and_its_short_cells_are_whole(columns: int) -> None:
    lines = plain(shown(columns))
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns
    assert lines == [each.rstrip() for each in lines]
    assert "failed" in lines[1]
    assert ("NOTE" in lines[0]) == (columns >= 100)
    assert ("…" in lines[1]) == (columns < 80)


def test_statuses_have_colours_unless_the_user_wants_none() -> None:
    assert RED in shown(80)
    assert "\x1b[3" not in shown(80, NO_COLOR="1")

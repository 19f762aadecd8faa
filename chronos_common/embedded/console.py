"""The terminal of ``chronos up``: few lines by default, every log line with --verbose."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from chronos_common.domain.texts import visible

_STYLES = {"warning": "yellow", "error": "red", "critical": "bold red"}
_SHOWN_APART = frozenset({"event", "level", "logger", "timestamp", "exception"})


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on when the terminal is closed, where rich would end the process."""
        self.quiet = True


class Terminal:
    """Writes lines, in colour if the terminal supports it. Any thread may use it.

    When the terminal is closed it writes nothing more, and the programs go on.
    """

    def __init__(self, *, verbose: bool, file: IO[str] | None = None) -> None:
        self._verbose = verbose
        self._console = _Console(highlight=False, file=file)

    def say(self, text: str = "", *, style: str = "") -> None:
        """Write ``text`` as it is: no markup is read, no line is broken, no control obeyed."""
        try:
            self._console.print(Text(visible(text, keep="\n\t"), style=style), soft_wrap=True)
        except OSError:  # a terminal that was closed
            self._console.quiet = True

    def warn(self, text: str) -> None:
        """Write a line that should not be overlooked."""
        self.say(text, style="yellow")

    def show_log(self, name: str, line: str) -> None:
        """Write a line of a child's log if it is a warning or worse, or if all are wanted."""
        record = _parse(line)
        if record is None:
            if self._verbose:
                self.say(f"{name}: {line}", style="dim")
            return
        level = str(record.get("level", "info"))
        if self._verbose or level in _STYLES:
            self.say(_as_text(name, level, record), style=_STYLES.get(level, ""))
            if self._verbose and "exception" in record:
                self.say(str(record["exception"]), style="dim")


def _parse(line: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _as_text(name: str, level: str, record: Mapping[str, Any]) -> str:
    """Return ``12:00:01 worker warning: what happened (detail=value)``, the time in UTC."""
    time = str(record.get("timestamp", ""))[11:19]
    details = ", ".join(f"{key}={record[key]}" for key in record if key not in _SHOWN_APART)
    cause = str(record.get("exception", "")).strip().rpartition("\n")[2]
    parts = [time, name, f"{level}:", str(record.get("event", ""))]
    if details:
        parts.append(f"({details})")
    if cause:
        parts.append(f"- {cause}")
    return visible(" ".join(part for part in parts if part))

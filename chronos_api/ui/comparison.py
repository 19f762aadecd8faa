"""Two executions side by side: their figures, requests and answers, and where they differ."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from sqlalchemy import RowMapping

from chronos_api.executions import attempts
from chronos_api.ui import wording

#: Lines of a body that are compared: the time grows with their square.
MAX_LINES: Final = 1000


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing of both executions, as a text. It is empty if an execution has none."""

    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.left != self.right


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a body: of both (a space), of the left one (``-``) or of the right one (``+``)."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """The request or the answer: its values, and the lines of its body."""

    name: str
    pairs: Sequence[Pair]
    lines: Sequence[DiffLine]

    @property
    def differs(self) -> bool:
        """Whether anything of it is not the same."""
        return any(pair.differs for pair in self.pairs) or any(
            line.mark != " " for line in self.lines
        )


def figures(left: RowMapping, right: RowMapping) -> list[Pair]:
    """Return the figures of both executions, and of the timing of their last attempts."""
    pairs = [Pair(name, read(left), read(right)) for name, read in _FIGURES]
    before, after = _timing(left), _timing(right)
    names = list(dict.fromkeys([*before, *after]))
    return pairs + [
        Pair(f"{name}, ms", before.get(name, ""), after.get(name, "")) for name in names
    ]


def _late(row: RowMapping) -> str:
    if row["started_at"] is None:
        return ""
    return wording.milliseconds((row["started_at"] - row["scheduled_for"]).total_seconds() * 1000)


_FIGURES: Final[Sequence[tuple[str, Callable[[RowMapping], str]]]] = (
    ("Outcome", lambda row: wording.EXECUTION_MARKS[row["status"]].word),
    ("Why", lambda row: wording.reason(row["reason"]) or row["error"] or ""),
    ("Late", _late),
    ("Last attempt took", lambda row: wording.milliseconds(row["duration_ms"])),
    ("Attempts", lambda row: str(row["attempt"])),
    ("HTTP status", lambda row: str(row["http_status"] or "")),
    ("Trigger", lambda row: row["trigger"]),
)


def _timing(row: RowMapping) -> dict[str, str]:
    timing = _last(row).get("timing_ms") or {}
    return {name.replace("_", " "): f"{value:g}" for name, value in timing.items()}


def _last(row: RowMapping) -> Mapping[str, Any]:
    shown = attempts.shown(row["attempts"])
    return shown[-1] if shown else {}


def parts(left: RowMapping, right: RowMapping) -> list[ComparedPart]:
    """Return the requests and the answers of the last attempts of both."""
    before, after = _last(left), _last(right)
    return [
        _part(name, before.get(name) or {}, after.get(name) or {})
        for name in ("request", "response")
    ]


def _part(name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> ComparedPart:
    before, after = dict(_values(left)), dict(_values(right))
    names = list(dict.fromkeys([*before, *after]))
    pairs = [Pair(each, before.get(each, ""), after.get(each, "")) for each in names]
    return ComparedPart(
        name, pairs, list(_diff(_lines(left.get("body")), _lines(right.get("body"))))
    )


def _values(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in part.items():
        if name not in {"body", "headers"} and value not in {None, False}:
            yield name.replace("_", " "), str(value)
    for name, value in sorted((part.get("headers") or {}).items()):
        yield name.lower(), str(value)


def _lines(body: Any) -> list[str]:
    """Return the lines of a body. JSON gets a line for each of its values."""
    if not body:
        return []
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return str(body).splitlines()[:MAX_LINES]
    return json.dumps(body, indent=2, ensure_ascii=False).splitlines()[:MAX_LINES]


def _diff(left: Sequence[str], right: Sequence[str]) -> Iterator[DiffLine]:
    for tag, begin, end, other_begin, other_end in SequenceMatcher(a=left, b=right).get_opcodes():
        if tag == "equal":
            yield from (DiffLine(" ", line) for line in left[begin:end])
            continue
        yield from (DiffLine("-", line) for line in left[begin:end])
        yield from (DiffLine("+", line) for line in right[other_begin:other_end])

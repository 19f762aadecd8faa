"""Shell commands that make one HTTP request: ``curl`` and ``wget``. Nothing is executed."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from chronos_client.importers.http import curl, wget
from chronos_client.importers.http.request import HttpRequest
from chronos_client.importers.outcome import Draft, LeftOut
from chronos_client.importers.times import duration

_NO_TARGET = "It runs a command on its machine, which Chronos does not do. Call a URL instead."
_SHELL = "It needs a shell: {}. Only a single curl or wget command becomes a job."

#: Redirections whose only effect is that nothing is written.
_SILENT = re.compile(r"\s*(?:[12]?>>?|&>>?|>&)\s*/dev/null\b|\s*2>&1|\s*</dev/null\b")
_TO_FILE = re.compile(r"\s*(?:[12]?>>?|&>>?|>&)\s*([\w./~+-]+)")


#: A variable of a shell. One behind a backslash is none.
_VARIABLE = re.compile(r"(?<!\\)\$(?:(\w+)|\{(\w+)\})", re.ASCII)
#: A value that stays one word where no quotes stand around it.
_WORD = re.compile(r"[\w./:@%+=,-]+", re.ASCII)


def read_command(
    command: str, draft: Draft, variables: Mapping[str, str] | None = None
) -> HttpRequest:
    """Return the request of a line of a shell, with the variables that its source sets.

    Raises :class:`LeftOut` for any other command.
    """
    whole = _expanded(_joined(command.strip()), variables or {})
    bare = _in_foreground(_without_redirections(whole, draft))
    for found in _shell_parts(bare):
        raise LeftOut(_SHELL.format(found) if _mentions_http(bare) else _NO_TARGET)
    try:
        words = shlex.split(bare)
    except ValueError as error:
        raise LeftOut(f"The command's quotes do not match: {error}.") from error
    return read_arguments(words, draft)


def read_arguments(words: Sequence[str], draft: Draft) -> HttpRequest:
    """Return the request of a program and its arguments. Raises :class:`LeftOut`."""
    match [PurePosixPath(words[0]).name if words else "", *words[1:]]:
        case ["timeout", seconds, *rest] if rest and seconds[:1].isdigit():
            request = read_arguments(rest, draft)
            bound = duration(seconds if seconds[-1].isalpha() else f"{seconds}s")
            request.timeout = min(bound, request.timeout or bound)
            return request
        case ["curl", *rest]:
            return curl.read(rest, draft)
        case ["wget", *rest]:
            return wget.read(rest, draft)
    if _mentions_http(" ".join(words[:-1])):
        raise LeftOut(f"It runs {words[0]!r} around curl or wget, which a job does not have.")
    raise LeftOut(_NO_TARGET)


def _mentions_http(command: str) -> bool:
    return re.search(r"\b(?:curl|wget)\b", command) is not None


def _without_redirections(command: str, draft: Draft) -> str:
    """Return a command without its redirections. Those into files are reported."""
    parts = []
    for text, is_quoted in _by_quotes(command):
        if is_quoted:
            parts.append(text)
            continue
        silent = _SILENT.sub("", text)
        for file in _TO_FILE.findall(silent):
            draft.lacks(
                "output", f"It is written to {file}. The history of each run keeps the answer."
            )
        parts.append(_TO_FILE.sub("", silent))
    return "".join(parts)


def _joined(command: str) -> str:
    """Return a command on one line: a backslash at the end of a line continues it."""
    return "".join(
        text if text.startswith("'") else text.replace("\\\n", "")
        for text, _ in _by_quotes(command)
    )


def _in_foreground(command: str) -> str:
    """Return a command without an ``&`` at its end. Nobody waits for a job either."""
    return re.sub(r"(?<=[^&])\s*&$", "", command.rstrip())


def _expanded(command: str, variables: Mapping[str, str]) -> str:
    """Return a command with the values of known variables. The others stay."""

    def quoted(match: re.Match[str]) -> str:
        value = variables.get(match[1] or match[2])
        return match[0] if value is None else re.sub(r'(["\\$`])', r"\\\1", value)

    def bare(match: re.Match[str]) -> str:
        value = variables.get(match[1] or match[2], "")
        return value if _WORD.fullmatch(value) else match[0]

    return "".join(
        text if text.startswith("'") else _VARIABLE.sub(quoted if is_quoted else bare, text)
        for text, is_quoted in _by_quotes(command)
    )


def _shell_parts(command: str) -> Iterator[str]:
    """Yield the parts that need a shell."""
    for text, is_quoted in _by_quotes(command):
        if text.startswith("'"):
            continue
        bare = _bare(text)
        if variable := _VARIABLE.search(bare):
            yield f"the variable {variable[0]}, which its source does not set as one word"
        special = re.search(r"[$`]" if is_quoted else r"[$`|&;<>(){}*?~!\n]|#(?=\s)", bare)
        if special:
            yield f"the character {special[0]!r}"


def _bare(text: str) -> str:
    """Return a text without escaped characters, and without those that URLs have."""
    without = re.sub(r"\\.", "", text)
    # An unquoted ? or * is a pattern only if a file of that name exists. In a URL none does.
    return re.sub(r"https?://[^\s$`|&;<>(){}]*", "", without)


def _by_quotes(command: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a command, and whether they stand in quotes."""
    pattern = r"'[^']*'|\"(?:[^\"\\]|\\.)*\""
    position = 0
    for match in re.finditer(pattern, command):
        if match.start() > position:
            yield command[position : match.start()], False
        yield match[0], True
        position = match.end()
    if position < len(command):
        yield command[position:], False

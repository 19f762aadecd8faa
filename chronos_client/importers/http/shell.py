"""Shell commands that make one HTTP request: ``curl`` and ``wget``. Nothing is executed."""

import re
import shlex
from collections.abc import Iterator, Sequence
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


def read_command(command: str, draft: Draft) -> HttpRequest:
    """Return the request of a line of a shell. Raises :class:`LeftOut` for any other command."""
    bare = _without_redirections(command.strip(), draft)
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


def _shell_parts(command: str) -> Iterator[str]:
    """Yield the parts that need a shell."""
    for text, is_quoted in _by_quotes(command):
        if text.startswith("'"):
            continue
        special = re.search(r"[$`]" if is_quoted else r"[$`|&;<>(){}*?~!\n]|#(?=\s)", _bare(text))
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

"""Docstrings and comments of the product are plain English: one idea a sentence, with its noun.

In the codebases that this one was measured against, one sentence in two hundred has a semicolon or
a "what" that stands for a noun. Long sentences are counted, too, and words that make riddles.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from repository import ROOT

PACKAGES = (
    "chronos_api",
    "chronos_client",
    "chronos_common",
    "chronos_scheduler",
    "chronos_worker",
)

#: The part of a folder's sentences that may be hard to read. A small folder may have one.
MOST = 0.03

#: The words of a sentence that can be read at once.
MOST_WORDS = 28
RIDDLE = re.compile(r"\b(?:whatever|whoever|whomever|but for|of (?:which|whom))\b", re.IGNORECASE)

#: Code and quotations, in which no word or sign is ours.
QUOTED = re.compile(r"``[^`]*``|`[^`]*`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)")
DIRECTIVE = re.compile(r"(?:noqa|type:)[^-]*(?:- |$)")
ENDS = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s|\n\s*\|")


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield each comment; the lines of one that has several are joined."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    places = [(*token.start, token.string) for token in tokens if token.type == tokenize.COMMENT]
    texts: list[tuple[int, int, list[str]]] = []
    for line, column, text in places:
        if texts and (line - len(texts[-1][2]), column) == texts[-1][:2]:
            texts[-1][2].append(text)
        else:
            texts.append((line, column, [text]))
    for line, _, lines in texts:
        yield line, "\n".join(DIRECTIVE.sub("", each.lstrip("#: ")) for each in lines)


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Yield the sentences of docstrings and comments, with the line where their text begins."""
    for line, text in [*docstrings(source), *comments(source)]:
        for sentence in ENDS.split(QUOTED.sub("X", text)):
            if re.search(r"\w\w", sentence):
                yield line, " ".join(sentence.split())


@cache
def sentences_of(path: Path) -> list[tuple[int, str]]:
    return list(sentences(path.read_text()))


def has_semicolon(sentence: str) -> bool:
    return ";" in sentence


def has_free_what(sentence: str) -> bool:
    return not sentence.endswith("?") and bool(re.search(r"\bwhat\b", sentence, re.IGNORECASE))


def is_long(sentence: str) -> bool:
    return len(sentence.split()) > MOST_WORDS


def has_riddle(sentence: str) -> bool:
    return bool(RIDDLE.search(sentence))


def modules(folder: str) -> list[Path]:
    """Return the modules of a folder; those of a package's own folders are not the package's."""
    path = ROOT / folder
    return sorted(path.glob("*.py") if folder in PACKAGES else path.rglob("*.py"))


FOLDERS = [
    *PACKAGES,
    *sorted(f"{name}/{path.name}" for name in PACKAGES for path in (ROOT / name).glob("[!_]*/")),
]


@pytest.mark.parametrize("folder", [each for each in FOLDERS if modules(each)])
@pytest.mark.parametrize("is_hard", [has_semicolon, has_free_what, has_riddle, is_long])
def test_few_sentences_are_hard_to_read(folder: str, is_hard: Callable[[str], bool]) -> None:
    found = [(path, *each) for path in modules(folder) for each in sentences_of(path)]
    hard = [
        f"{path.relative_to(ROOT)}:{line}: {text}" for path, line, text in found if is_hard(text)
    ]
    assert len(hard) <= max(1, MOST * len(found)), "\n".join(["", *hard])


def test_hard_sentences_are_found_wherever_they_stand() -> None:
    source = '''
"""Return what was taken meanwhile."""

def f():
    """Split ``a; b`` by it. What does 'what; then' mean?"""
    # It ends; nothing
    # is left. Of which?
    return None  # noqa: RET501 - nothing is what it returns
'''
    found = [text for _, text in sentences(source)]
    assert [text for text in found if has_riddle(text)] == ["Of which?"]
    assert not any(map(is_long, found))
    assert is_long("word " * (MOST_WORDS + 1))
    assert [text for text in found if has_semicolon(text)] == ["It ends; nothing is left."]
    assert [text for text in found if has_free_what(text)] == [
        "Return what was taken meanwhile.",
        "nothing is what it returns",
    ]

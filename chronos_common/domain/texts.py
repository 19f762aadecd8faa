"""Rules for texts: a text of one line, or a name that people can see.

A one-line text may hold any character, visible or not: no-break spaces, joiners, marks of
direction. Only line breaks and control characters are refused.
"""

import re
from collections.abc import Iterator
from typing import Final
from unicodedata import category, normalize

#: The Unicode standard, section 5.8, and the additions of Python's ``splitlines``.
_LINE_BREAKS: Final = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")

# Letters and symbols that show nothing: the fillers of Hangul, the blank of Braille, and the marks
# that only change the character before them.
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


#: Control characters, line separators, changes of the direction, and halves of characters.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def stored_fault(text: str) -> str | None:
    """Return why PostgreSQL cannot store ``text``, or None."""
    if "\x00" in text:
        return "Must not contain NUL characters."
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "Must not contain unpaired surrogates; send whole Unicode characters."
    return None


def line_fault(text: str) -> str | None:
    """Return why ``text`` is not one line, or None."""
    for character in _breaking(text):
        kind = "line break" if character in _LINE_BREAKS else "control character"
        return f"Must be one line; it contains the {kind} U+{ord(character):04X}."
    return None


def one_line(text: str) -> str:
    """Return ``text`` as one line, with spaces for line breaks and control characters."""
    return _CONTROL.sub(" ", text)


def visible(text: str, *, keep: str = "") -> str:
    """Return ``text`` for a terminal or a log line, with its control characters as escapes.

    They could move the cursor, colour other lines, forge a line, or turn the direction of a text.
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _breaking(text: str) -> Iterator[str]:
    return (each for each in text if each in _LINE_BREAKS or category(each) == "Cc")


def is_seen(text: str) -> bool:
    """Return whether ``text`` has a character that people see."""
    return any(category(each) not in _UNSEEN and each not in _BLANK for each in text)


def name_of(text: str) -> str:
    """Return ``text`` as names are stored and looked up: composed (NFC), without outer spaces."""
    return normalize("NFC", text).strip()


def name_fault(text: str) -> str | None:
    """Return why ``text`` is no name, or None."""
    fault = stored_fault(text) or line_fault(text)
    if fault is None and not is_seen(text):
        return "Must contain a character that can be seen." if text else "Must not be empty."
    return fault

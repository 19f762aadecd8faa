"""Character encodings: from the bytes of a body to its text, by its ``Content-Type``."""

import codecs
import encodings
import pkgutil
import re
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

# Encodings of Python that are no charsets.
_NOT_CHARSETS: Final = frozenset(
    {"charmap", "idna", "mbcs", "oem", "punycode", "raw_unicode_escape", "undefined"}
    | {"unicode_escape"}
)
# Python caches each name that is looked up, also unknown ones. So only these names are looked up,
# and none that a target has invented.
_KNOWN: Final = frozenset(
    {module.name for module in pkgutil.iter_modules(encodings.__path__)} | aliases.keys()
)

# Encodings that the IANA and browsers call by other names than Python.
_SPELLINGS: Final = (
    (re.compile(r"(?:cs)?windows_?31j"), "cp932"),
    (re.compile(r"windows_([0-9]+)"), r"cp\1"),
    (re.compile(r"x_(.+)"), r"\1"),
    (re.compile(r"iso8859([0-9]+)"), r"iso8859_\1"),
    # The suffix is about the layout of the text, not about its encoding (RFC 1556).
    (re.compile(r"(iso_8859_[68])_[ei]"), r"\1"),
)

_PARAMETER: Final = re.compile(
    r""";\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))""", re.DOTALL
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)

# Longer marks first: the mark of UTF-32 begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ANY_MARK: Final = tuple(mark for mark, _ in _MARKS)
_MARK: Final = "\ufeff"
# Without a byte order mark, these are read as in browsers.
_UNMARKED: Final = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}

# UTF-7 can encode halves of characters, which no database stores.
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def decode(body: bytes, content_type: str, *, is_cut: bool) -> str:
    """Return ``body`` as text that PostgreSQL stores: without NUL and lone surrogates.

    Bytes that are invalid in its encoding become U+FFFD. With ``is_cut``, a character that was
    cut in two is left out.
    """
    declared = declared_by(content_type)
    encoding = declared or "utf-8"
    if declared in _UNMARKED or body.startswith(_ANY_MARK):
        encoding = _marked(body, declared)
    if is_cut:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(body)
    else:
        text = body.decode(encoding, "replace")
    text = text.removeprefix(_MARK).replace("\x00", "")
    return text if encoding == "utf-8" else _SURROGATES.sub("\ufffd", text)


#: Longer values are not cached: targets write them.
_LONGEST_CACHED: Final = 256


def declared_by(content_type: str) -> str | None:
    """Return Python's name of the charset that ``Content-Type`` declares, if it knows it."""
    is_short = len(content_type) <= _LONGEST_CACHED
    return _cached(content_type) if is_short else _declared_by(content_type)


def _declared_by(content_type: str) -> str | None:
    for name, quoted, plain in _PARAMETER.findall(content_type):
        if name.lower() == "charset":
            return _known(_ESCAPED.sub(r"\1", quoted) or plain.strip())
    return None


_cached = lru_cache(maxsize=1024)(_declared_by)


def _known(charset: str) -> str | None:
    name = encodings.normalize_encoding(charset.lower()) if charset.isascii() else ""
    name = name.replace(".", "_")
    if name not in _KNOWN:
        name = _respelt(name)
    if name not in _KNOWN or aliases.get(name, name) in _NOT_CHARSETS:
        return None
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return None
    # open() and str.encode() use this attribute too: it is false for rot13 and base64.
    return codec.name if codec._is_text_encoding else None  # noqa: SLF001 - there is no public one


def _respelt(name: str) -> str:
    for pattern, spelling in _SPELLINGS:
        if found := pattern.fullmatch(name):
            return found.expand(spelling)
    return name


def _marked(body: bytes, declared: str | None) -> str:
    """Return the encoding of a body that has a byte order mark, or should have one."""
    if declared is not None and declared not in _UNMARKED:
        return declared
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    if declared is None:
        return marked or "utf-8"
    return marked if marked and marked.startswith(declared) else _UNMARKED[declared]

"""Bodies become text by exactly the encoding that their header declares."""

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_worker.http import charsets


def _text(body: bytes, content_type: str = "", *, is_cut: bool = False) -> str:
    return charsets.decode(body, content_type, is_cut=is_cut)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("Shift_JIS", "日本語"),
        ("EUC-JP", "日本語"),
        ("ISO-2022-JP", "日本語"),
        ("ms932", "①髙"),
        ("GBK", "中文"),
        ("GB18030", "中文🂡"),
        ("gb2312", "中文"),
        ("Big5", "中文"),
        ("EUC-KR", "한국어"),
        ("KOI8-R", "привет"),
        ("koi8-u", "привіт"),
        ("windows-1251", "привет"),
        ("ISO-8859-1", "über"),
        ("latin1", "über"),
        ("ISO-8859-15", "5 €"),
        ("windows-1252", "5 €"),
        ("us-ascii", "plain"),
        ("UTF-8", "über"),
        ("utf8", "über"),
        ("UTF-16", "über"),
        ("UTF-16LE", "über"),
        ("UTF-16BE", "über"),
        ("UTF-32", "über"),
        ("utf-7", "über"),
        ("IBM037", "EBCDIC"),
        ("macintosh", "über"),
    ],
)
def test_a_declared_encoding_is_the_one_that_counts(charset: str, text: str) -> None:
    body = text.encode(charset)
    for declaration in (
        f"text/plain; charset={charset}",
        f'text/plain;charset="{charset.upper()}"',
        f"text/plain ; format=flowed ; Charset = {charset.lower()} ; x=y",
    ):
        assert _text(body, declaration) == text


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        ("Windows-31J", "cp932", "①髙"),
        ("csWindows31J", "cp932", "①髙"),
        ("windows-949", "cp949", "뷁"),
        ("windows-936", "gbk", "中文"),
        ("windows-950", "cp950", "中文"),
        ("windows-874", "cp874", "ไทย"),
        ("x-sjis", "shift_jis", "日本語"),
        ("x-euc-jp", "euc_jp", "日本語"),
        ("x-gbk", "gbk", "中文"),
        ("x-cp1251", "cp1251", "привет"),
        ("x-mac-cyrillic", "mac_cyrillic", "привет"),
        ("iso88592", "iso8859_2", "źdźbło"),
        ("ISO-8859-8-I", "iso8859_8", "שלום"),
        ("ISO-8859-6-E", "iso8859_6", "سلام"),
    ],
)
def test_names_that_python_spells_otherwise_are_known(
    charset: str, encoding: str, text: str
) -> None:
    assert _text(text.encode(encoding), f"text/plain; charset={charset}") == text


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/plain; charset",
        "text/plain; charset=",
        'text/plain; charset="',
        "text/plain; charset=klingon",
        "text/plain; xcharset=koi8-r",
        'text/plain; title="; charset=koi8-r"',
        'text/plain; title="\\"; charset=koi8-r"',
        "text/koi8-r",
        "text/plain; charset=k\u00f6i8-r",
        "text/plain; charset=a\x00b",
        *(
            f"text/plain; charset={name}"
            for name in [
                "x-base64",
                "x-x-gbk",
                "windows-99999",
                "iso885999",
                "rot13",
                "base64",
                "hex",
                "zlib",
                "idna",
                "punycode",
                "undefined",
            ]
        ),
        *(f"text/plain; charset={name}" for name in ["unicode_escape", "mbcs", "aliases"]),
        "text/plain; charset=raw-unicode-escape",
        "text/plain; charset=utf-8; charset=koi8-r",
    ],
)
def test_without_one_that_is_known_it_is_utf8(content_type: str) -> None:
    assert _text("über\\u0041 nopr".encode(), content_type) == "über\\u0041 nopr"
    assert _text(b"a\xffb", content_type) == "a\ufffdb"


def test_the_quotes_of_a_charset_may_hold_escapes() -> None:
    assert _text("привет".encode("koi8-r"), 'text/plain; charset="koi\\8-r"') == "привет"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_byte_order_mark_is_read_and_not_shown(
    mark: bytes, encoding: str, *, is_cut: bool
) -> None:
    body = mark + "über".encode(encoding)
    family = encoding.removesuffix("-le").removesuffix("-be")
    for content_type in ("", f"a/b; charset={family}", f"a/b; charset={encoding}"):
        assert _text(body, content_type, is_cut=is_cut) == "über"


def test_a_declaration_counts_more_than_a_byte_order_mark() -> None:
    assert _text(codecs.BOM_UTF8 + b"a", "a/b; charset=iso-8859-1") == "ï»¿a"
    assert _text(b"\xff\xfea\x00", "a/b; charset=utf-32") == "\ufffd"


def test_without_a_mark_utf16_is_read_as_browsers_read_it() -> None:
    body = "über".encode("utf-16-le")
    for is_cut in (False, True):
        assert _text(body, "a/b; charset=utf-16", is_cut=is_cut) == "über"


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "aü"),
        ("shift_jis", "a日"),
        ("gb18030", "a🂡"),
        ("utf-16-be", "aü"),
        ("big5", "a中"),
    ],
)
def test_a_character_that_the_cut_divided_is_left_out(charset: str, text: str) -> None:
    body = text.encode(charset)[:-1]
    assert _text(body, f"a/b; charset={charset}", is_cut=True) == "a"
    assert _text(body, f"a/b; charset={charset}").startswith("a\ufffd")


@given(
    body=st.binary(max_size=100),
    charset=st.one_of(st.text(max_size=20), st.sampled_from(sorted(charsets._KNOWN))),
    is_cut=st.booleans(),
)
def test_whatever_comes_becomes_text_that_postgresql_stores(
    body: bytes, charset: str, *, is_cut: bool
) -> None:
    text = _text(body, f"text/plain; charset={charset}", is_cut=is_cut)
    assert "\x00" not in text
    text.encode()


def test_names_that_targets_invent_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(charsets.codecs, "lookup", asked.append)
    for number in range(10):
        charsets.declared_by(f"text/plain; charset=invented-{number}")
    assert asked == []


def test_a_long_content_type_is_read_in_no_time() -> None:
    started = time.process_time()
    for text in ('; a="' * 20_000, ";" * 100_000, "; a" * 30_000, '; a="\\' * 20_000):
        charsets.declared_by(text)
    assert time.process_time() - started < 5


def test_long_values_are_not_cached() -> None:
    """Targets write them, and thousands of 16 KiB would fill the memory."""
    before = charsets._cached.cache_info().currsize
    assert charsets.declared_by("text/plain; x=" + "y" * 1000 + "; charset=latin-1") == "iso8859-1"
    assert charsets._cached.cache_info().currsize == before

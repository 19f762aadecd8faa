"""Texts: what a line and a name may hold."""

import sys
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.texts import is_seen, line_fault, name_fault, name_of, one_line

EVERY = [chr(number) for number in range(sys.maxunicode + 1)]


def test_only_line_breaks_and_control_characters_end_a_line() -> None:
    refused = {each for each in EVERY if line_fault(f"a{each}b")}
    breaks = {each for each in EVERY if len(f"a{each}b".splitlines()) > 1}
    assert refused == breaks | {each for each in EVERY if category(each) == "Cc"}
    assert {one_line(f"a{each}b") for each in refused} == {"a b"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [("a\u2028b", "line break U+2028"), ("\x85", "line break U+0085"), ("\t", "character U+0009")],
)
def test_the_error_of_a_line_names_the_character(text: str, rule: str) -> None:
    assert rule in str(line_fault(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u00a0\u2003",
        "\u200b\u200c\u200d\ufeff",
        "\u2060\u00ad",
        "\u3164",
        "\u115f\u1160",
        "\u2800\u2800",
        "\ufe0f",
        "\u202e",
        "a\nb",
        "a\u2029",
        "\x1b[1m",
        "a\x00",
        "\ud800",
    ],
)
def test_what_nobody_can_see_or_type_is_no_name(text: str) -> None:
    assert name_fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ping",
        "日本",
        "\u0646\u0627\u0645\u0647\u200c\u0647\u0627",
        "\N{FAMILY}\u200d\N{WOMAN}",
        "\U0001fae8",
        "a\u00a0b",
        "\ue000",
    ],
)
def test_what_people_write_is_a_name(text: str) -> None:
    assert name_fault(text) is None


@given(st.text())
def test_a_name_is_found_as_it_was_stored(text: str) -> None:
    stored = name_of(text)
    assert name_of(stored) == stored
    assert name_of(f" {normalize('NFD', text)}\u3000") == stored
    assert is_seen(stored) == is_seen(text)

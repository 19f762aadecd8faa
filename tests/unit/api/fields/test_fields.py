"""What fields of requests take."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError, fields

from chronos_api.fields import fields as fields_module
from chronos_api.fields.fields import (
    Digits,
    EmailAddress,
    FreeObject,
    Instant,
    Name,
    Number,
    Text,
    Whole,
)

TEXT = Text(longest=3, shortest=1, stripped=True)
NAME = Name(longest=3)
NUMBER = Number(low=0, high=10)
WHOLE = Whole(low=1, high=100)
DIGITS = Digits(low=1, high=100)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (TEXT, " ab ", "ab"),
        (TEXT, "\N{GRINNING FACE}" * 3, "\N{GRINNING FACE}" * 3),
        (Text(longest=3, composed=True), "u\u0308", "ü"),
        (NAME, "\u3000u\u0308\u00a0", "ü"),
        (NAME, "a b", "a b"),
        (EmailAddress(), "a@Bücher.example", "a@xn--bcher-kva.example"),
        (EmailAddress(), "a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
        (NUMBER, 5, 5.0),
        (NUMBER, 0.5, 0.5),
        (WHOLE, 7, 7),
        (WHOLE, 7.0, 7),
        (DIGITS, "042", 42),
        (EmailAddress(), "user@example.com", "user@example.com"),
        (Instant(), "2031-01-01T01:00:00+01:00", datetime(2031, 1, 1, tzinfo=UTC)),
        (Instant(), "2031-01-01T00:00:00.5Z", datetime(2031, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (FreeObject(), {"a": [{"b": None}]}, {"a": [{"b": None}]}),
    ],
)
def test_a_right_value_is_taken(field: fields.Field[Any], value: object, expected: object) -> None:
    assert field.deserialize(value) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((TEXT, value) for value in ("", "  ", "abcd", "a\x00", "\ud83d", 1, None, ["a"], True)),
        *(
            (NAME, value)
            for value in ("", " ", "a\n", "\na", "a\u2028", "\u200b", "\x07a", "abcd", 5, "a\x00")
        ),
        *((EmailAddress(), value) for value in ("ü@c.de", "a@[1.2.3.4]", "a@c.de.", "a@c..de")),
        *((NUMBER, value) for value in (-0.1, 10.1, True, "5", None, 10**400, float("inf"))),
        *((WHOLE, value) for value in (0, 101, 1.5, True, "5", 1e300, 10**400)),
        *((DIGITS, value) for value in ("", "0", "101", "-1", "1.0", "٣", "1" * 5000, 5, " 1")),
        *((EmailAddress(), value) for value in ("", "a", "a@b@c.d", "a b@c.de", "a@c.de\n", 5)),
        *(
            (Instant(), value)
            for value in (
                "",
                "now",
                "2031-01-01",
                "2031-01-01T00:00:00",
                "2031-02-30T00:00:00Z",
                "1969-12-31T23:59:59Z",
                "2500-01-01T00:00:01Z",
                "9999-12-31T23:59:59-23:59",
                "0001-01-01T00:00:00+23:59",
                5,
            )
        ),
        *(
            (FreeObject(), value)
            for value in ([], "x", 5, {"a": "\x00"}, {"\x00": 1}, {"a": ["\udc00"]})
        ),
    ],
)
def test_a_wrong_value_is_refused(field: fields.Field[Any], value: object) -> None:
    with pytest.raises(ValidationError):
        field.deserialize(value)


def _pattern(field: Any) -> str:
    return str(field.metadata["pattern"])


def _is_taken(field: fields.Field[Any], text: str) -> bool:
    try:
        field.deserialize(text)
    except ValidationError:
        return False
    return True


_SHORT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
_SPACES = st.text(st.sampled_from([chr(c) for c in range(0x3001) if chr(c).isspace()]), max_size=3)


@given(_SHORT | _SPACES)
def test_the_documented_pattern_of_a_text_is_what_the_field_takes(text: str) -> None:
    assert bool(re.search(_pattern(TEXT), text)) == _is_taken(TEXT, text)


@given(
    st.builds("{}@{}.{}".format, _SHORT, _SHORT, _SHORT)
    | st.emails()
    | st.sampled_from(["jörg@müller.example", "a_b@c_d.example", "a@b.c.d-e", "a@b..c", "@b.c"])
)
def test_the_documented_pattern_of_an_address_matches_all_that_the_field_takes(text: str) -> None:
    if _is_taken(EmailAddress(), text):
        assert re.search(_pattern(EmailAddress()), text)


def test_the_place_of_a_wrong_text_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        FreeObject().deserialize({"a": {"b": ["x", "\x00"]}, "c\x00": 1})
    assert set(caught.value.messages) == {"a.b.1", "c\x00"}


def test_an_object_that_can_be_stored_is_not_visited_text_by_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Visiting 200,000 texts takes a tenth of a second, before their size is looked at."""

    def visit(*_: object) -> None:
        raise AssertionError("a text was visited")

    monkeypatch.setattr(fields_module, "_texts", visit)
    value = {"a": ["x"] * 1000, "b": {"é\N{GRINNING FACE}": 10**400, "c": 1.5}}
    assert FreeObject().deserialize(value) == value
    with pytest.raises(AssertionError):
        FreeObject().deserialize({"a": ["x\x00"]})

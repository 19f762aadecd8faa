"""JSON bodies, read strictly."""

import json
import time
from decimal import Decimal
from math import isfinite
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chronos_api.http.errors import MalformedBody
from chronos_api.http.json_body import MAX_DEPTH, flatten, parse

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_is_read_as_json(value: Any) -> None:
    assert json.dumps(parse(json.dumps(value).encode())) == json.dumps(value)


@given(st.binary())
def test_bytes_are_json_or_malformed(content: bytes) -> None:
    try:
        value = parse(content)
    except MalformedBody:
        return
    assert json.loads(content) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_the_depth_is_bounded(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]

    def nested(depth: int) -> bytes:
        return opening * (depth - 1) + opening[:1] + closing * depth

    parse(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 10_000, 300_000):
        with pytest.raises(MalformedBody, match=f"{MAX_DEPTH} levels"):
            parse(nested(depth))


@pytest.mark.parametrize("content", [b"1e400", b"-1e400", b"[1, 1e309]"])
def test_numbers_that_no_float_holds_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedBody, match="too large"):
        parse(content)


@pytest.mark.parametrize(
    "content",
    [
        b"3.14159265358979323846",
        b"999999999999999.99",
        b"1e-400",
        b"[0.1000000000000000001]",
        b"1e-99999999999",
    ],
)
def test_numbers_that_would_change_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedBody, match="as a string"):
        parse(content)


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ("1.10", "1.1"),
        ("0.10000000000000001", "0.1"),
        ("1E2", "100.0"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
        ("-0", "-0.0"),
        ("-0.0", "-0.0"),
        ("0e5", "0.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9" * 4000, "9" * 4000),
    ],
)
def test_numbers_keep_their_value(content: str, written: str) -> None:
    assert json.dumps(parse(content.encode())) == written


def test_a_name_twice_is_refused_at_every_depth() -> None:
    with pytest.raises(MalformedBody, match="'b' twice"):
        parse(b'{"a": [{"b": 1, "b": 2}]}')


def test_a_name_twice_among_very_many_is_found_in_linear_time() -> None:
    """Fails if each name is compared with all others, which takes minutes for this body."""
    names = ", ".join(f'"{number:x}": 0' for number in range(80_000))
    began = time.process_time()
    with pytest.raises(MalformedBody, match="'13880' twice"):
        parse(f'{{{names}, "13880": 1, "13880": 2}}'.encode())
    assert time.process_time() - began < 10


def test_an_error_repeats_little_of_the_body() -> None:
    long = "a" * 100_000
    for content in (f'{{"{long}": 1, "{long}": 2}}', f"[0.{'1' * 100_000}]", f"[1{'0' * 400}.0]"):
        with pytest.raises(MalformedBody) as caught:
            parse(content.encode())
        assert len(str(caught.value)) < 200


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 17), st.sampled_from("ef"))
def test_a_number_is_refused_exactly_if_it_would_change(
    value: float, digits: int, notation: str
) -> None:
    text = f"{value:.{digits}{notation}}"
    assume(not text.lstrip("-").isdecimal())  # an integer, of which all digits are kept
    kept = Decimal(text) in {Decimal(repr(float(text))), Decimal(f"{float(text):.17g}")}
    if isfinite(float(text)) and kept:
        assert parse(text.encode()) == float(text)
    else:
        with pytest.raises(MalformedBody):
            parse(text.encode())


def test_messages_are_flattened_to_fields() -> None:
    messages = {
        "json": {"tags": {1: ["Must be a string."]}, "_schema": ["Unclear."], "name": "Bad."}
    }
    assert flatten(messages) == {
        "tags.1": ["Must be a string."],
        "body": ["Unclear."],
        "name": ["Bad."],
    }

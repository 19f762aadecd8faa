"""The header of a response: its fields, what may be shown of them, and what is remembered."""

import pytest

from chronos_worker.http import response_headers
from chronos_worker.http.response_headers import KEPT_BYTES

STATUS = b"HTTP/1.1 200 OK\r\n"


def test_fields_by_their_names_the_first_value_and_all_that_may_be_shown() -> None:
    lines = [STATUS, b"Via: a\r\n", b"VIA: b\r\n", b"Set-Cookie: c=1\r\n", b"\r\n"]
    assert response_headers.of(lines) == response_headers.ResponseHeader(
        first={"via": "a", "set-cookie": "c=1"},
        shown={"via": "a, b", "set-cookie": "[redacted]"},
    )


def test_content_codings_in_several_lines_are_one_list() -> None:
    lines = [STATUS, b"Content-Encoding: deflate\r\n", b"content-encoding:gzip\r\n"]
    assert response_headers.of(lines).first == {"content-encoding": "deflate, gzip"}


def test_interim_responses_are_left_out() -> None:
    interim = [b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n", b"\r\n"]
    assert response_headers.of([*interim, STATUS, b"Via: a\r\n", b"\r\n"]).first == {"via": "a"}


def test_the_same_lines_are_not_read_again() -> None:
    lines = [STATUS, b"X-Same: 1\r\n"]
    assert response_headers.of(lines) is response_headers.of(tuple(lines))


def test_so_are_those_of_servers_that_write_http_in_small_letters() -> None:
    interim = [b"http/1.1 103 Early Hints\r\n", b"Link: </a>\r\n", b"\r\n"]
    assert response_headers.of([*interim, b"http/1.1 200 OK\r\n", b"Via: a\r\n"]).first == {
        "via": "a"
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Zoë à".encode(), "Zoë à"),
        ("Zoë".encode("latin-1"), "Zoë"),
        (b"\t a \x00b \t", "a b"),
    ],
)
def test_values_are_read_as_utf8_if_they_are_that_and_else_as_latin1(
    value: bytes, text: str
) -> None:
    assert response_headers.of([STATUS, b"X-Name:" + value + b"\r\n"]).first == {"x-name": text}


@pytest.mark.parametrize("lines", [[b"X-Long: " + b"x" * 5000], [b"X-Many: 1\r\n"] * 1000])
def test_long_headers_are_not_remembered(lines: list[bytes]) -> None:
    assert response_headers.of(lines).first
    assert response_headers.of(lines) is not response_headers.of(lines)


def test_long_lines_are_not_remembered() -> None:
    before = response_headers._cached_field.cache_info().currsize
    assert response_headers.of([b"X-Long: " + b"x" * 600]).first
    assert response_headers._cached_field.cache_info().currsize == before


def test_no_more_is_shown_than_the_history_keeps() -> None:
    lines = [b"X-%d: %b" % (number, b"y" * 1000) for number in range(30)]
    found = response_headers.of(lines)
    assert len(found.first) == 30
    assert sum(map(len, found.shown.values())) <= KEPT_BYTES
    assert len(found.shown) == 16

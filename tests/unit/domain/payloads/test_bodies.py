"""Bodies of webhooks: the bytes are what the Content-Type says, or there is an error."""

import json
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.payloads import Webhook, parse
from chronos_common.errors import Invalid

FORM = "application/x-www-form-urlencoded"


def sent(body: Any, content_type: str | None, **more: Any) -> bytes | None:
    """Return the body that leaves."""
    headers = {} if content_type is None else {"content-type": content_type}
    payload = {"url": "http://example.com/", "headers": headers, "body": body, **more}
    webhook = parse("webhook", payload)
    assert isinstance(webhook, Webhook)
    return webhook.body


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ({"a": 1}, FORM, b"a=1"),
        (
            {"z": "ü &", "a": [1, True, ""]},
            f"{FORM}; charset=UTF-8",
            b"z=%C3%BC+%26&a=1&a=true&a=",
        ),
        ({"a": "ü"}, f"{FORM};charset=iso-8859-1", b"a=%FC"),
        ({}, FORM, b""),
        ("a=1", FORM, b"a=1"),
        ({"a": "ü"}, "application/json", '{"a":"ü"}'.encode()),
        ({"a": "ü"}, 'Application/JSON; Charset="ISO-8859-1"', '{"a":"ü"}'.encode("latin-1")),
        ([1], "application/vnd.api+json; profile=x", b"[1]"),
        ({"a": 1}, "text/json", b'{"a":1}'),
        ({"a": 1}, "application/x-amz-json-1.1", b'{"a":1}'),
        ({"a": 1}, "application/x-json; charset=utf-8", b'{"a":1}'),
        ({"a": 1}, "application/json-rpc", b'{"a":1}'),
        ("{broken", "application/json", b"{broken"),
        ("ü", "text/plain; charset=iso-8859-1", b"\xfc"),
        ("ü", "text/plain;charset=utf-16be", b"\x00\xfc"),
        ("ü", "text/plain", "ü".encode()),
        ("--x--", "multipart/form-data; boundary=x", b"--x--"),
        ("", "application/xml", b""),
        (None, FORM, b""),
    ],
)
def test_the_bytes_are_what_the_content_type_says(
    body: Any, content_type: str, expected: bytes
) -> None:
    assert sent(body, content_type) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        ({"a": {"b": 1}}, FORM, "'a' cannot be sent in a form"),
        ({"a": None}, FORM, "'a' cannot be sent in a form"),
        ({"a": []}, FORM, "'a' cannot be sent in a form"),
        ({"a": [[1]]}, FORM, "'a' cannot be sent in a form"),
        ([1], FORM, "object or a string"),
        (5, FORM, "object or a string"),
        ({"a": "日"}, f"{FORM}; charset=latin-1", "'日'"),
        ({"a": 1}, f"{FORM}; charset=utf-16", "use UTF-8"),
        ({"a": 1}, "multipart/form-data; boundary=x", "as a string"),
        ({"a": 1}, "application/xml", "as a string"),
        ({"a": 1}, "text/plain", "as a string"),
        ({"a": 1}, "application/x-ndjson", "as a string"),
        ({"a": 1}, "application/json-seq", "as a string"),
        ({"a": 1}, "application/x-json-stream", "as a string"),
        ({"a": 1}, "json", "as a string"),
        ({"a": 1}, "", "as a string"),
        ("日本", "text/plain; charset=iso-8859-1", "'日'"),
        ({"a": "日本"}, "application/json; charset=us-ascii", "'日'"),
        ("x", "text/plain; charset=klingon", "no encoding"),
        ("x", "text/plain; charset=base64", "no encoding"),
        ("x", "text/plain; charset=rot13", "no encoding"),
        ("x", "text/plain; charset=undefined", "in the encoding undefined; use UTF-8"),
    ],
)
def test_a_body_that_its_content_type_does_not_describe_is_refused(
    body: Any, content_type: str, why: str
) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        sent(body, content_type)
    assert list(caught.value.fields) == ["payload.body"]


def test_bytes_are_given_as_base64() -> None:
    payload = {"url": "http://example.com/", "body_base64": "AP8KDQ=="}
    webhook = parse("webhook", payload)
    assert isinstance(webhook, Webhook)
    assert webhook.body == b"\x00\xff\n\r"
    assert webhook.headers == {"Content-Type": "application/octet-stream"}
    own = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    webhook = parse("webhook", payload | {"headers": own})
    assert isinstance(webhook, Webhook)
    assert (webhook.body, webhook.headers) == (b"\x00\xff\n\r", own)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    st.dictionaries(TEXT, TEXT | st.lists(TEXT, min_size=1, max_size=3), max_size=4),
    st.sampled_from(["", "utf-8", "iso-8859-1", "windows-1251", "shift_jis"]),
)
def test_a_form_is_read_back_as_it_was_written(form: dict[str, Any], charset: str) -> None:
    try:
        content = sent(form, f"{FORM}; charset={charset}" if charset else FORM)
    except Invalid:
        assert charset not in {"", "utf-8"}
        return
    assert content is not None
    pairs = parse_qsl(content.decode("ascii"), keep_blank_values=True, encoding=charset or "utf-8")
    values = [(name, [text] if isinstance(text, str) else text) for name, text in form.items()]
    assert pairs == [(name, text) for name, texts in values for text in texts]


@given(TEXT, st.sampled_from(["utf-8", "latin-1", "utf-16", "cp1252", "gb18030", "koi8-r"]))
def test_json_is_in_the_charset_that_is_named(text: str, charset: str) -> None:
    content_type = f"application/json; charset={charset}"
    try:
        content = sent({"a": text}, content_type)
    except Invalid:
        with pytest.raises(UnicodeEncodeError):
            text.encode(charset)
        return
    assert content is not None
    reader = EmailMessage()
    reader["Content-Type"] = content_type
    assert json.loads(content.decode(reader.get_content_charset())) == {"a": text}

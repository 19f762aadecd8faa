"""E-mail addresses: what is accepted can be sent to."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.addresses import ascii_address, email_key


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("A.b+c@BÜCHER.example", "A.b+c@xn--bcher-kva.example"),
        ("a@Example.COM", "a@example.com"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
        ('"a..b"@example.com', '"a..b"@example.com'),
        ('"a@b,<c>"@example.com', '"a@b,<c>"@example.com'),
        (r'"a\"b\\"@example.com', r'"a\"b\\"@example.com'),
        ("#!$%&'*+-/=?^_`{|}~@example.com", "#!$%&'*+-/=?^_`{|}~@example.com"),
        ("o'neil_1@my-host.example", "o'neil_1@my-host.example"),
    ],
)
def test_an_address_is_sent_with_its_domain_in_ascii(address: str, expected: str) -> None:
    assert ascii_address(address) == expected


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "like name@example.com"),
        ("nobody", "like name@example.com"),
        ("@example.com", "like name@example.com"),
        ("a@", "like name@example.com"),
        ("a b@example.com", "like name@example.com"),
        ("a@b@example.com", "like name@example.com"),
        ("a\n@example.com", "like name@example.com"),
        ("Name <a@example.com>", "alone, without a name"),
        ("<a@example.com>", "alone, without a name"),
        ("a@example.com, b@example.com", "as a list"),
        ("a@example.com;b@example.com", "as a list"),
        ("a@[@example.com", "like name@example.com"),
        ("\\@[@example.com", "like name@example.com"),
        ('""@example.com', "like name@example.com"),
        ('"a"b"@example.com', "like name@example.com"),
        ('"a b"@example.com', "like name@example.com"),
        ('a"b"@example.com', "like name@example.com"),
        ('"a\\"@example.com', "like name@example.com"),
        ("a..b@example.com", "dots stand between other characters"),
        ("a.@example.com", "dots stand between other characters"),
        (".a@example.com", "dots stand between other characters"),
        ("ü@example.com", "ASCII characters only before the @"),
        ("日本@例え.テスト", "ASCII characters only before the @"),
        ("a" * 65 + "@example.com", "64 characters"),
        ("a@" + "a" * 60 + ("." + "a" * 62) * 3 + ".example", "DNS allows|254"),
        ("a@localhost", "domain like example.com"),
        ("a@example.com.", "domain like example.com"),
        ("a@127.0.0.1", "domain like example.com"),
        ("a@b..example", "empty part"),
        ("a@i❤.ws", "IDNA 2008"),
        ("a@example.com\r\nBcc: b@example.com", "like name@example.com"),
        ("a@[1.2.3]", "IP address in brackets"),
        ("a@[IPv6:x]", "IP address in brackets"),
    ],
)
def test_an_address_that_not_every_server_takes_is_refused_in_words(
    address: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        ascii_address(address)


@given(st.text() | st.text('a@.ü[]\n :\\"(<,', max_size=20))
def test_an_address_that_is_taken_is_one_safe_line(text: str) -> None:
    with suppress(ValueError):
        sent = ascii_address(text)
        assert sent.isascii()
        assert sent.isprintable()
        assert " " not in sent
        assert ascii_address(sent) == sent


def test_addresses_are_compared_without_the_case_of_ascii_alone() -> None:
    """As lower() does in the collation "C" of PostgreSQL."""
    assert email_key("INFO@Example.COM") == "info@example.com"
    assert email_key("\u0130\u00dc@x") == "\u0130\u00dc@x"

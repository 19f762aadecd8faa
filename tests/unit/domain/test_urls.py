"""URLs of webhooks: sent as they were written, or refused when they are written."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.urls import Address, address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://straße.example/", "http://xn--strae-oqa.example/"),
        ("http://Bücher.example:8080/Ü?Ü", "http://xn--bcher-kva.example:8080/%C3%9C?%C3%9C"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("http://[2606:4700::1]:8080", "http://[2606:4700::1]:8080"),
        ("http://[::1]", "http://[::1]"),
        ("http://2130706433/", "http://2130706433/"),
        ("http://example.com./", "http://example.com./"),
        ("http://example.com:/", "http://example.com/"),
        ("http://example.com:00443/", "http://example.com:443/"),
        ("http://ex%61mple.com/%2F", "http://example.com/%2F"),
        ("http://my_service:65535/", "http://my_service:65535/"),
        ("http://example.com/a//b/...?a=..", "http://example.com/a//b/...?a=.."),
        ("http://example.com?", "http://example.com?"),
        (r"http://example.com/a\b", "http://example.com/a%5Cb"),
    ],
)
def test_a_url_is_sent_in_ascii(url: str, expected: str) -> None:
    assert address(url, {}) == Address(expected, None)


@pytest.mark.parametrize(
    ("userinfo", "expected"),
    [
        ("user:p%40ss", b"user:p@ss"),
        ("user", b"user:"),
        (":", b":"),
        ("ü:ö", "ü:ö".encode()),
        ("a@b:c", b"a@b:c"),
        ("a:b:c", b"a:b:c"),
    ],
)
def test_user_information_stands_beside_the_url(userinfo: str, expected: bytes) -> None:
    sent = address(f"http://{userinfo}@Bücher.example:81/", {})
    assert sent == Address("http://xn--bcher-kva.example:81/", expected)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "empty"),
        ("example.com", "absolute"),
        ("http:example.com", "absolute"),
        ("http:///path", "absolute"),
        ("http://user@/", "absolute"),
        ("ftp://example.com/", "absolute"),
        ("http://./", "empty part"),
        ("http://a..b/", "empty part"),
        ("http://:80/", "empty"),
        ("http://x:0/", "port"),
        ("http://x:00000/", "port"),
        ("http://x:65536/", "port"),
        ("http://x:" + "1" * 5000 + "/", "port"),
        ("http://x:٣/", "port"),
        ("http://x:-1/", "port"),
        ("http://x:8a/", "port"),
        ("http://" + "a" * 64 + ".example/", "64 characters"),
        ("http://" + "a." * 150 + "example/", "characters in ASCII"),
        ("http://-a.example/", "hyphen"),
        ("http://1.2.3.256/", "IPv4"),
        ("http://[::1/", "brackets stand around an IPv6 address only"),
        ("http://name:pa[ss@example.com/", "Write %5B"),
        ("http://name:pa[s]s@example.com/", "Write %5B"),
        ("http://name:pass/word@example.com/", "port .* write %2F for '/'"),
        ("http://name:pass?word@example.com/", "port .* write %2F for '/'"),
        ("http://::1/", r"in brackets, like \[::1\]"),
        ("http://2001:db8::1/", r"in brackets, like \[::1\]"),
        ("http://example.com:80:80/", "must not contain ':'"),
        ("http://a℀b/", "stands for one of"),
        ("http://[fe80::1%25eth0]/", "network interface"),
        ("http://[v1.x]/", "IPv6"),
        ("http://a%20b.example/", "' '"),
        ("http://a%2Fb.example/", "'/'"),
        ("http://%FF.example/", "UTF-8"),
        ("http://i❤.ws/", "IDNA 2008"),
        (r"http://good.example\@evil.example/", "%5C"),
        (r"http://good.example\.evil.example/", r"\\"),
        ("http://a%3Ab:c@example.com/", "colon"),
        ("http://example.com/#part", "fragment"),
        ("http://example.com/#", "fragment"),
        ("http://example.com/a/../b", r"'\.\.'"),
        ("http://example.com/a/%2E%2e", r"'\.\.'"),
        ("http://example.com/.", r"'\.'"),
        ("http://example.com/a b", "percent-encode"),
        ("http://example.com/\x7f", "percent-encode"),
        ("http://example.com/" + "a" * 8192, "8192"),
    ],
)
def test_a_url_that_can_never_work_is_refused_in_words(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        address(url, {})
    assert str(caught.value).endswith(".")


@given(
    st.text("abAZ.-_:@[]%0159/?#üß。\\", max_size=30)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
)
def test_whatever_is_accepted_is_ascii_with_a_host_and_a_port_that_exist(rest: str) -> None:
    try:
        sent = address(f"http://{rest}", {"ü": "ß&"})
    except ValueError:
        return
    parts = urlsplit(sent.url)
    assert sent.url.isascii()
    assert parts.hostname
    assert parts.port is None or 1 <= parts.port <= 65535
    assert "@" not in parts.netloc
    assert parts.query.endswith("%C3%BC=%C3%9F%26")

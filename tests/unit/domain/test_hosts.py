"""Host names: in ASCII, by the standards that browsers follow, or refused in words."""

import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chronos_common.domain.hosts import ascii_host


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("straße.example", "xn--strae-oqa.example"),
        ("STRASSE.example", "strasse.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.EXAMPLE", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("日本語。\uff2a\uff30", "xn--wgv71a119e.jp"),
        ("例え\uff0eテスト", "xn--r8jz45g.xn--zckzah"),
        ("βόλος.com", "xn--nxasmm1c.com"),
        ("אב.example", "xn--4dbc.example"),
        ("موقع.example", "xn--4gbrim.example"),
        ("\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com", "xn--mgba3gch31f060k.com"),
        ("exam\u00adple.com", "example.com"),
        ("xn--strae-oqa.Example", "xn--strae-oqa.example"),
        ("localhost", "localhost"),
        ("example.com.", "example.com."),
        ("bücher。", "xn--bcher-kva."),
        ("_dmarc.my_host.example", "_dmarc.my_host.example"),
        ("r3---sn-4g5e.example", "r3---sn-4g5e.example"),
        ("foo-.example", "foo-.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abc"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.1"),
        ("0x7F000001", "0x7f000001"),
        ("2130706433", "2130706433"),
        ("017700000001", "017700000001"),
        ("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127.0.0.1"),
        ("::1", "::1"),
        ("[2606:4700::1]", "[2606:4700::1]"),
        ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
    ],
)
def test_a_host_name_is_ascii_as_browsers_have_it(name: str, expected: str) -> None:
    assert ascii_host(name) == expected


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (".", "empty part"),
        ("a..b", "empty part"),
        ("a。。b", "empty part"),
        (".example.com", "empty part"),
        ("example.com..", "empty part"),
        ("\u00ad.example", "empty part"),
        ("a" * 64 + ".example", "64 characters"),
        ("ü" * 70 + ".example", "IDNA 2008"),
        (".".join(["a" * 60] * 5), "304 characters"),
        ("-a.example", "hyphen"),
        ("-ü.example", "IDNA 2008"),
        ("a b.example", "' '"),
        ("a%41.example", "'%'"),
        ("a/b", "'/'"),
        ("user@example.com", "'@'"),
        ("example.com\n", r"'\\n'"),
        ("℀.example", "'/'"),
        ("i❤.ws", "IDNA 2008"),
        ("xn--i-7iq.ws", "IDNA 2008"),
        ("xn--0.example", "IDNA 2008"),
        ("xn--.example", "IDNA 2008"),
        ("a\u200cb.example", "IDNA 2008"),
        ("\u0301a.example", "IDNA 2008"),
        ("1a.אב.example", "IDNA 2008"),
        ("\ud800.example", "IDNA 2008"),
        ("ü" * 5000, "IDNA 2008"),
        ("256.1.1.1", "IPv4"),
        ("1.2.3.4.5", "IPv4"),
        ("4294967296", "IPv4"),
        ("example.123", "IPv4"),
        ("0x.", "IPv4"),
        ("127.08", "IPv4"),
        ("[::1", "IPv6"),
        ("::g", "IPv6"),
        ("[v1.fe80]", "IPv6"),
        ("example.com:80", "IPv6"),
        ("fe80::1%eth0", "network interface"),
    ],
)
def test_a_name_that_no_resolver_could_find_is_refused_in_words(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        ascii_host(name)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).endswith(".")


@given(st.text(max_size=300) | st.text("aZß0ü-_.。٣אبxn\u200c\u0301", max_size=80))
def test_a_host_is_short_ascii_that_stays_as_it_is(name: str) -> None:
    try:
        host = ascii_host(name)
    except ValueError:
        return
    assert host.isascii()
    assert len(host.removesuffix(".")) <= 253
    assert all(1 <= len(label) <= 63 for label in host.removesuffix(".").split("."))
    assert ascii_host(host) == host


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_label_beyond_ascii_is_what_the_reference_makes_of_it(label: str) -> None:
    assume(not label.isascii())
    try:
        expected = idna.encode(label, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        with pytest.raises(ValueError, match=r"."):
            ascii_host(label)
    else:
        # Whole names have rules of their own: the direction, numbers at the end.
        assume(expected.startswith("xn--") and "." not in expected)
        assert ascii_host(label) == expected

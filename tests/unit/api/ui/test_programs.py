"""The programs of logins in a few words."""

import pytest

from chronos_api.ui.wording import program

_CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142 "


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{_CHROME}Safari/537.36", "Chrome on Windows"),
        (f"{_CHROME}Safari/537.36 Edg/142", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145) Gecko/2010 Firefox/145", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19 like Mac OS X) Safari/604", "Safari on iPhone"),
        ("curl/8.16.0", "curl/8.16.0"),
        ("x" * 300, "x" * 60),
        (None, "an unknown program"),
    ],
)
def test_a_program_is_named(user_agent: str | None, words: str) -> None:
    assert program(user_agent) == words

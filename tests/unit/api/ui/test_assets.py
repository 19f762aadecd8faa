"""The scripts and the style sheet: small, and without the ways by which texts become scripts."""

import re

import pytest

from chronos_api.ui import assets

SCRIPTS = {name: each for name, each in assets.all_assets().items() if name.endswith(".js")}

#: Bytes, compressed: of all scripts, of those of a page, and of the style sheet.
MOST_OF_ALL, MOST_OF_PAGE, MOST_OF_STYLE = 45_000, 25_000, 14_000
MOST_LINES = 300

#: They make elements or programs of texts. ``policy.js`` alone may.
SINKS = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")


def test_a_page_loads_little() -> None:
    found = {name: len(each.compressed) for name, each in SCRIPTS.items()}
    assert sum(found.values()) <= MOST_OF_ALL
    # The worker's own script is none of the page.
    assert sum(found.values()) - found["hub.js"] <= MOST_OF_PAGE
    assert len(assets.all_assets()["app.css"].compressed) <= MOST_OF_STYLE


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_makes_no_script_of_a_text(name: str) -> None:
    text = SCRIPTS[name].content.decode()
    assert len(text.splitlines()) <= MOST_LINES
    assert name == "policy.js" or not SINKS.search(text)

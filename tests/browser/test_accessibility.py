"""Every page, in light and dark, narrow and wide: WCAG 2.2 AA by axe, and nothing sideways."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

from acceptance.up import Up
from browser.desk import visiting
from browser.places import PAGES

# Some pages in each, which axe takes seconds to examine on a slow machine.
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1440])
def test_every_page_is_accessible(up: Up, scheme: Literal["light", "dark"], width: int) -> None:
    axe = Axe()
    faults = {}
    with visiting(up, width=width, height=900, color_scheme=scheme) as visit:
        for path in PAGES:
            page = visit.open(f"/ui/{path}")
            found = axe.run(page, options=RULES).response["violations"]
            named = {each["id"]: [node["html"] for node in each["nodes"]] for each in found}
            if named or visit.is_wider_than_the_screen():
                faults[path] = named
        visit.forgive("the server responded with a status of 404")
    assert faults == {}

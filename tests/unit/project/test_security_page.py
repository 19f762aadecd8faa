"""The pages about security requirements and attacks name tests that exist, or what is not met."""

import re

import pytest

from repository import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| chapter")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:40])
def test_each_requirement_is_shown_or_not_met(row: list[str]) -> None:
    _, _, shown_by = row
    named = re.findall(r"`([^`]+\.(?:py|md))`", shown_by)
    assert named or "not met" in shown_by
    for path in named:
        assert (ROOT / path).is_file(), path
        if path.endswith(".py"):
            assert "\ndef test_" in (ROOT / path).read_text(), path


def test_each_attack_on_the_dashboard_has_its_test() -> None:
    page = (ROOT / "docs" / "dashboard.md").read_text()
    section = page.partition("\n## Attacks\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows
    for *_, shown_by, _ in rows:
        paths = re.findall(r"`([^`]+)`", shown_by)
        assert paths
        for path in paths:
            assert "\ndef test_" in (ROOT / path).read_text(), path


def test_the_page_has_the_chapters_of_the_standard_that_apply() -> None:
    chapters = {int(row[0].split()[0]) for row in ROWS}
    assert chapters == {*range(1, 10), 11, 12, 13, 14}

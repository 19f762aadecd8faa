"""Quotas: each declared once, with a setting, and described to operators."""

import re
from dataclasses import fields
from datetime import UTC, datetime

from chronos_common import quotas
from chronos_common.quotas import QuotaExceeded, Use
from chronos_common.settings import Settings
from repository import ROOT

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_each_quota_has_a_setting_and_each_such_setting_a_quota() -> None:
    settings = [each.name for each in fields(Settings) if each.name.startswith("quota_")]
    assert sorted(settings) == sorted(each.setting for each in quotas.ALL)


def test_the_page_about_operations_has_a_row_for_each() -> None:
    section = (ROOT / "docs/operations.md").read_text().partition("## Quotas")[2]
    table = re.findall(
        r"\| `(\w+)` \| `(\w+)` \(([\d,]+)\) \| (.*) \|", section.partition("\n## ")[0]
    )
    assert table == [
        (each.name, f"CHRONOS_{each.setting.upper()}", f"{each.default:,}", each.help)
        for each in quotas.ALL
    ]


def test_a_quota_of_a_day_can_be_waited_for_until_midnight() -> None:
    assert quotas.MAILS.seconds_to_wait(NOON) == 12 * 3600


def test_a_refusal_names_quota_bound_use_and_remedy() -> None:
    text = str(QuotaExceeded(Use(quotas.MAILS, 1000, 998), amount=3))
    for part in ("mails", "1,000", "998", "3 more", "tomorrow", "operator"):
        assert part in text

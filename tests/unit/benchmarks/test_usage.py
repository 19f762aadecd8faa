"""What the benchmark says of the processor: who used it, and what was stolen from all."""

from pathlib import Path

import pytest

from benchmarks import usage


def test_what_was_stolen_is_not_what_others_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(usage, "_STAT", stat)
    monkeypatch.setattr(usage, "_TICKS", 100)
    # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu 100 0 100 5000 70 0 0 10 0 0\ncpu0 1 2 3\n")
    before = usage.measure({})
    stat.write_text("cpu 200 10 300 9000 90 20 30 40 0 0\ncpu0 1 2 3\n")
    spent = usage.measure({}).since(before)
    assert spent == pytest.approx({usage.OTHERS: 3.6, usage.STOLEN: 0.3})
    assert usage.figures(spent | {"api": 0.5}, count=100, seconds=10) == pytest.approx(
        {"cpu_api_s_per_1000": 5, "others_cores": 0.36, "stolen_cores": 0.03}
    )

"""A report is written as a page of everything, or as a summary into a page that has its marks."""

from pathlib import Path

from benchmarks.report import BEGIN, END, Report
from benchmarks.results import Result
from repository import ROOT

FIGURES = {"due_per_s": 1.0, "done_per_s": 1.0, "drift_p99_ms": 9.0}
REPORT = Report(
    {"Processor": "one core"},
    {"repeats": 3},
    [
        Result("ladder", "capacity", {"capacity_per_s": 6000.0}),
        Result("profile", "one", FIGURES, {"profile": "half of it"}),
    ],
)


def test_a_page_without_marks_gets_every_table_and_the_notes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    REPORT.write_markdown(page)
    text = page.read_text()
    for part in ("- Processor: one core", "### Targets", "### Drift", "half of it"):
        assert part in text


def test_a_page_with_marks_gets_a_summary_between_them_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    REPORT.write_markdown(page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\nProcessor: one core; Options: repeats 3.\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "### Targets" in text
    assert not any(part in text for part in ("old", "### Drift", "half of it"))


def test_the_page_about_performance_has_the_marks() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page.index(BEGIN) < page.index(END)

"""The metrics of scheduler and worker: documented as they are, and there from the start."""

import re

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from chronos_common import metrics
from chronos_common.domain import queues
from repository import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text()

OURS = {name: each for name, each in vars(metrics).items() if isinstance(each, MetricWrapperBase)}


def documented(*headings: str) -> dict[str, tuple[str, dict[str, set[str]]]]:
    """Return the type of each metric below ``headings``, and its labels with their values."""
    found = {}
    for heading in headings:
        section = re.split(rf"^## {heading}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
        for line in section.splitlines():
            if line.startswith("| `chronos_"):
                name, kind, labels, meaning, alert = (
                    cell.strip() for cell in line.strip("|").split("|")
                )
                assert meaning, line
                assert alert, line
                found[name.strip("`")] = (kind, _labels(labels))
    return found


def _labels(cell: str) -> dict[str, set[str]]:
    name, _, values = cell.partition(": ")
    names = re.findall(r"`(\w+)`", name)
    return {each: set(re.findall(r"`(\w+)`", values)) for each in names}


def _shown(metric: MetricWrapperBase) -> tuple[str, dict[str, set[str]]]:
    """Return what the page should say of a metric."""
    known: dict[str, set[str]] = {name: set() for name in metric._labelnames}
    for values in metric._metrics if metric._labelnames else ():
        for name, value in zip(metric._labelnames, values, strict=True):
            known[name].add(str(value))
    # Prometheus' text format has no type for information: it shows a gauge.
    return {"info": "gauge"}.get(metric._type, metric._type), known


def _full_name(metric: MetricWrapperBase) -> str:
    return metric._name + {"counter": "_total", "info": "_info"}.get(metric._type, "")


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    page = documented("Scheduler", "Scheduler and worker", "Worker")
    assert page == {_full_name(each): _shown(each) for each in OURS.values()}


def test_every_known_label_has_its_series_from_the_start() -> None:
    for name, metric in OURS.items():
        if metric._labelnames:
            assert metric._metrics, name
    sample = {"queue": queues.WEBHOOKS}
    assert REGISTRY.get_sample_value("chronos_claimed_total", sample) is not None
    assert REGISTRY.get_sample_value("chronos_duration_seconds_count", sample) is not None


def test_no_metric_is_registered_elsewhere() -> None:
    families = {each.name for each in REGISTRY.collect() if each.name.startswith("chronos_")}
    assert families == {each._name for each in OURS.values()}

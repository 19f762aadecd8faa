"""Names of variables: settings, what Kubernetes adds, and what is misspelt."""

import os
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common import environment as variables
from chronos_common import settings
from chronos_common.settings import Settings

KNOWN = {f"CHRONOS_{name.upper()}" for name in Settings.__dataclass_fields__}

REQUIRED = {
    "CHRONOS_DATABASE_URL": "postgresql://chronos:hidden@db.example:5432/chronos",
    "CHRONOS_REDIS_URL": "redis://:hidden@redis.example:6379/0",
    "CHRONOS_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


def _of_service(name: str, address: str, port: int) -> dict[str, str]:
    """Return what Kubernetes injects for a Service."""
    prefix = name.upper().replace("-", "_")
    link = f"{prefix}_PORT_{port}_TCP"
    url = f"tcp://{address}:{port}"
    return {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(port),
        f"{prefix}_SERVICE_PORT_HTTP": str(port),
        f"{prefix}_PORT": url,
        link: url,
        f"{link}_PROTO": "tcp",
        f"{link}_PORT": str(port),
        f"{link}_ADDR": address,
    }


def _load(monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str]) -> Settings:
    monkeypatch.setattr(settings, "_forgotten", [])
    monkeypatch.setattr(os, "environ", {"HOME": "/home/somebody", **REQUIRED, **given})
    return settings.load()


@pytest.mark.parametrize("name", ["chronos-api", "chronos-metrics", "chronos", "chronos-db-1"])
@pytest.mark.parametrize("address", ["10.0.0.1", "[fd00::1]"])
def test_what_kubernetes_injects_is_ignored_and_told(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    injected = _of_service(name, address, 8080)
    loaded = _load(monkeypatch, injected)
    assert (loaded.api_port, loaded.metrics_port) == (8080, 0)
    told = settings.remarks()
    assert {sentence.split()[0] for sentence in told} == set(injected)
    assert all("Service" in sentence for sentence in told)


def test_a_setting_of_our_own_is_not_taken_for_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CHRONOS_API_PORT": "9000", "CHRONOS_METRICS_PORT": "9100"}
    loaded = _load(monkeypatch, given)
    assert (loaded.api_port, loaded.metrics_port) == (9000, 9100)
    assert settings.remarks() == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CHRONOS_WORKER_TREADS", "CHRONOS_WORKER_THREADS"),
        ("CHRONOS_DB_URL", "CHRONOS_REDIS_URL|CHRONOS_DATABASE_URL"),
        ("CHRONOS_LOGLEVEL", "CHRONOS_LOG_LEVEL"),
        ("CHRONOS_MAX_TRANSFER", "CHRONOS_MAX_TRANSFERS"),
        ("CHRONOS_RETENTION", "CHRONOS_RETENTION_DAYS"),
        ("CHRONOS_Q", ""),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    _load(monkeypatch, {name: "a value that nobody may see"})
    [told] = settings.remarks()
    assert told.startswith(f"{name} is no setting")
    assert any(each in told for each in meant.split("|"))
    assert "nobody may see" not in told


def test_a_child_is_not_given_what_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CHRONOS_WORKER_TREADS": "3", "CHRONOS_TEST_X": "1", "CHRONOS_PLAN_BATCH": "5"}
    _load(monkeypatch, given | _of_service("chronos-api", "10.0.0.1", 8080))
    passed = settings.environment({"API_PORT": "9000"})
    expected = {*REQUIRED, "CHRONOS_TEST_X", "CHRONOS_PLAN_BATCH", "CHRONOS_API_PORT", "HOME"}
    assert passed.keys() == expected


@given(
    st.dictionaries(
        st.from_regex(r"CHRONOS_[A-Z_]{0,20}", fullmatch=True), st.just("a hidden value")
    )
)
def test_every_unknown_name_is_told_once_and_no_value(given: Mapping[str, str]) -> None:
    told = [variables.describe(name, KNOWN) for name in variables.unknown(given, KNOWN)]
    own = ("CHRONOS_TEST_", "CHRONOS_FAULT_")
    unknown = {name for name in given if name not in KNOWN and not name.startswith(own)}
    assert sorted(sentence.split()[0] for sentence in told) == sorted(unknown)
    assert "hidden" not in " ".join(told)


def test_no_setting_has_a_name_that_is_always_a_service_s() -> None:
    assert variables.of_services(dict.fromkeys(KNOWN, "8080")) == []

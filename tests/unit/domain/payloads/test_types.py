"""The types of jobs: each is declared once, and no other is taken."""

import importlib

import pytest

from chronos_common.domain import queues
from chronos_common.domain.payloads import DEFAULT_TYPE, TYPES, UnknownType, parse


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_declared_in_a_module_of_its_name(name: str) -> None:
    module = importlib.import_module(f"chronos_common.domain.payloads.{name}")
    assert getattr(module, name.upper()) is TYPES[name]
    assert TYPES[name].name == name


def test_a_job_that_names_no_type_is_a_webhook() -> None:
    assert next(iter(TYPES)) == DEFAULT_TYPE == "webhook"


def test_every_type_has_a_queue_of_its_own() -> None:
    assert len(set(queues.ALL)) == len(queues.ALL) == len(TYPES) + 2
    assert set(queues.QUEUE_OF.values()) < set(queues.ALL)


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownType) as caught:
        parse("fax", {"url": "https://example.com/"})
    [message] = caught.value.fields["type"]
    assert message == f"'fax' is not known here; it must be one of {', '.join(TYPES)}."


def test_a_job_of_an_unknown_type_waits_where_every_worker_looks() -> None:
    assert queues.QUEUE_OF["fax"] == queues.WEBHOOKS

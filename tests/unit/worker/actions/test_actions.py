"""Actions by type: each type has one, or the worker does not start."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest
from sqlalchemy import create_engine

from chronos_common.domain.payloads import EMAIL, TYPES, UnknownType
from chronos_worker import actions
from chronos_worker.actions import ActionMissing, Tools
from chronos_worker.emails.mailer import Mailer
from chronos_worker.emails.permission import MailPermission
from chronos_worker.service import Worker
from integration.api.api_settings import settings_for

SETTINGS = settings_for("postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
#: It connects to nothing before it is asked.
PERMISSION = MailPermission(create_engine(SETTINGS.database_url), SETTINGS)
TOOLS = Tools(SETTINGS, Mailer(SETTINGS), PERMISSION)


def test_every_type_has_an_action() -> None:
    assert actions.build(TOOLS, TYPES).keys() == TYPES.keys()


@pytest.mark.parametrize("module", [None, ModuleType("fax")], ids=["module", "function"])
def test_a_worker_does_not_start_if_a_type_has_no_action_and_names_it(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
) -> None:
    monkeypatch.setitem(TYPES, "fax", replace(EMAIL, name="fax", queue="faxes"))
    if module:
        monkeypatch.setitem(sys.modules, "chronos_worker.actions.fax", module)
    with pytest.raises(ActionMissing, match=r"'fax': chronos_worker\.actions\.fax "):
        Worker(SETTINGS)


def test_there_is_no_action_for_a_type_that_is_not_known() -> None:
    with pytest.raises(UnknownType, match=r"'fax' is not known here; it must be one of webhook,"):
        actions.build(TOOLS, TYPES)["fax"]
